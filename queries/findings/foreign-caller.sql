-- title: Caller of another account than the key's
-- severity: medium
-- why: The key's policy or a grant lets another account in. A call that failed shows this only where KMS had let it in.
SELECT event_time, principal, key_arn, call_id,
       -- The other side is the one whose account did not get this record.
       concat(
           CASE WHEN operation_class <> 'crypto' THEN concat(event_name, ': ') END,
           CASE recipient_account_id WHEN principal_account_id THEN concat('key of account ', key_account_id)
                WHEN key_account_id THEN concat('caller of account ', principal_account_id)
                ELSE concat('caller of account ', principal_account_id, ', key of account ', key_account_id) END) AS detail
FROM key_calls
WHERE operation_class IS NOT NULL AND outcome IN ('success', 'dry_run', 'key_unavailable')
  AND principal_account_id <> key_account_id
