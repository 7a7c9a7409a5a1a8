-- title: Caller of another account than the key's
-- severity: medium
-- why: The key's policy or a grant lets another account in.
SELECT event_time, principal, key_arn, call_id, concat('caller of account ', principal_account_id) AS detail
FROM key_calls
WHERE operation_class IS NOT NULL AND principal_account_id <> key_account_id
