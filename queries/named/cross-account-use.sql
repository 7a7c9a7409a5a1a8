-- title: Use of a key by another account
-- description: Calls whose principal belongs to another account than the key, for ReEncrypt than that side's key. Refusals are logged in the caller's account only.
-- severity: medium
SELECT event_time, principal, principal_account_id, event_name, outcome, key_arn, key_account_id, key_role, account_side, event_id
FROM key_attempts
WHERE principal_account_id IS NOT NULL AND key_account_id IS NOT NULL AND principal_account_id <> key_account_id
ORDER BY event_time, event_id, key_role, object_uri, record_index
