-- title: The imported material of a key in use has expired
-- severity: high
-- why: KMS has deleted the material at its date, and the key is unusable. It was used in the 30 days before, so something needs it. Medium if it was imported again.
-- controls: NIST SC-12
-- attack: T1489 Service Stop
-- false-positives: A key that was replaced in time, but was used until shortly before.
-- next: Import the same material again; ask who holds it.
-- next: `keytrail query unavailable-keys -p key=KEY` tells who has failed since.
-- set: default
-- needs: kms_writes
-- needs: kms_reads
SELECT event_time, key_account_id AS account_id, key_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, arrow_cast(NULL, 'Utf8') AS table_name, outcome, make_array(event_id) AS event_ids,
       concat('imported material expired', circumstances) AS detail,
       CASE WHEN undone_at IS NOT NULL THEN 'medium' END AS severity
FROM key_removals
WHERE event_name = 'DeleteExpiredKeyMaterial' AND used_before >= event_time - INTERVAL '30 days'
