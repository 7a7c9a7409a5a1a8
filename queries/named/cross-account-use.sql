-- title: Use of a key by another account
-- description: Calls on a key by a principal of another account, for ReEncrypt than that side's key: those that KMS let in, attempts to use the key, and refusals of more than to read. A refusal that names neither a key nor an alias may be of any account's key, and stands here with a key that is NULL. Refusals are logged in the caller's account only.
-- severity: medium
SELECT event_time, principal, principal_account_id, event_name, outcome, key_arn, key_account_id, key_role, account_side, event_id,
       alias_arn, resource_arn
FROM (
    SELECT event_time, principal, principal_account_id, event_name, outcome, key_arn, key_role, account_side, event_id, alias_arn,
           resource_arn, object_uri, record_index,
           -- An alias is of the account of its key.
           coalesce(key_account_id, nullif(split_part(alias_arn, ':', 5), '')) AS key_account_id
    FROM key_calls
    WHERE operation_class IS NOT NULL AND outcome <> 'denied'
      AND (operation_class = 'crypto' OR outcome IN ('success', 'dry_run', 'key_unavailable'))
    UNION ALL
    SELECT event_time, principal, principal_account_id, event_name, outcome, coalesce(key_arn, source_key_arn) AS key_arn,
           CASE WHEN event_name <> 'ReEncrypt' THEN 'only' WHEN key_arn IS NULL AND source_key_arn IS NOT NULL THEN 'source'
                ELSE 'destination' END AS key_role,
           account_side, event_id, alias_arn, resource_arn, object_uri, record_index,
           nullif(split_part(coalesce(key_arn, source_key_arn, alias_arn), ':', 5), '') AS key_account_id
    FROM (
        SELECT *, coalesce(split_part(denied_action, ':', 2), CASE WHEN operation_class IS NOT NULL THEN event_name END, '') AS action
        FROM denials)
    -- These only read, or concern no key of anybody's.
    WHERE NOT starts_with(action, 'Describe') AND NOT starts_with(action, 'Get') AND NOT starts_with(action, 'List')
      AND action NOT IN ('CreateKey', 'GenerateRandom', 'CreateCustomKeyStore', 'DeleteCustomKeyStore',
          'ConnectCustomKeyStore', 'DisconnectCustomKeyStore', 'UpdateCustomKeyStore'))
WHERE principal_account_id <> key_account_id OR (principal_account_id IS NOT NULL AND key_account_id IS NULL AND outcome = 'denied')
ORDER BY event_time, event_id, key_role, object_uri, record_index
