-- title: Caller of another account than the key's
-- severity: medium
-- why: The key's policy or a grant lets another account in. A call that failed shows this only where KMS had let it in.
-- controls: NIST AC-3
-- attack: T1199 Trusted Relationship
-- false-positives: Keys that are shared on purpose, as those of a bucket, an image or a backup vault for a whole organization.
-- next: `keytrail query foreign-accounts`, `keytrail query key-policy-versions -p key=KEY` for who let the account in.
-- next: Ask the owner of the key whether the account is one of yours.
-- set: default
-- needs: kms_reads
SELECT event_time, key_account_id AS account_id, coalesce(key_region, aws_region) AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, table_name, outcome, make_array(event_id) AS event_ids,
       -- The other side is the one whose account did not get this record.
       concat(event_name, ': ',
           CASE recipient_account_id WHEN principal_account_id THEN concat('key of account ', key_account_id)
                WHEN key_account_id THEN concat('caller of account ', principal_account_id)
                ELSE concat('caller of account ', principal_account_id, ', key of account ', key_account_id) END,
           CASE WHEN outcome <> 'success' THEN concat(', ', outcome) END) AS detail,
       CASE operation_class WHEN 'read' THEN 'low' ELSE 'medium' END AS severity
FROM key_calls
WHERE operation_class IS NOT NULL AND outcome IN ('success', 'dry_run', 'key_unavailable')
  AND principal_account_id <> key_account_id
