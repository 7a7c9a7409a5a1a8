-- title: Use of a key by another account
-- description: Uses and attempted uses of a key by a principal of another account, for ReEncrypt than that side's key. A refusal that names neither a key nor an alias may be of any account's key, and stands here with a key that is NULL. Refusals are logged in the caller's account only.
-- severity: medium
SELECT event_time, principal, principal_account_id, event_name, outcome, key_arn, key_account_id, key_role, account_side, event_id,
       alias_arn, resource_arn
FROM (
    SELECT event_time, principal, principal_account_id, event_name, outcome, key_arn, key_role, account_side, event_id, alias_arn,
           resource_arn, object_uri, record_index,
           -- An alias is of the account of its key.
           coalesce(key_account_id, nullif(split_part(alias_arn, ':', 5), '')) AS key_account_id
    FROM key_attempts
    WHERE outcome <> 'denied'
    UNION ALL
    SELECT event_time, principal, principal_account_id, event_name, outcome, coalesce(key_arn, source_key_arn) AS key_arn,
           CASE WHEN event_name <> 'ReEncrypt' THEN 'only' WHEN key_arn IS NULL AND source_key_arn IS NOT NULL THEN 'source'
                ELSE 'destination' END AS key_role,
           account_side, event_id, alias_arn, resource_arn, object_uri, record_index,
           nullif(split_part(coalesce(key_arn, source_key_arn, alias_arn), ':', 5), '') AS key_account_id
    FROM denials
    -- Another service's own record of a refusal only names the action, or not even that.
    WHERE (operation_class = 'crypto' AND event_name <> 'GenerateRandom')
       OR (operation_class IS NULL AND regexp_like(coalesce(denied_action, 'kms:Decrypt'),
           '^kms:(Decrypt|Encrypt|ReEncrypt|GenerateDataKey|GenerateMac|Verify|Sign|DeriveSharedSecret)')))
WHERE principal_account_id <> key_account_id OR (principal_account_id IS NOT NULL AND key_account_id IS NULL AND outcome = 'denied')
ORDER BY event_time, event_id, key_role, object_uri, record_index
