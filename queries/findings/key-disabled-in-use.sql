-- title: A key in use was disabled
-- severity: high
-- why: From then on nobody can read what is encrypted under the key. It was used in the 14 days before, so something needs it. Medium if it was enabled again.
-- controls: NIST SC-12
-- controls: CIS AWS 4.7
-- attack: T1489 Service Stop
-- false-positives: Disabling a key before deleting it is the careful way to find out who still needs it.
-- next: `keytrail query who-needs-a-key -p key=KEY` tells who would notice, `keytrail query unavailable-keys -p key=KEY` who did.
-- next: `aws kms enable-key` brings it back at once.
-- set: default
-- needs: kms_writes
-- needs: kms_reads
SELECT event_time, key_account_id AS account_id, key_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, arrow_cast(NULL, 'Utf8') AS table_name, outcome, make_array(event_id) AS event_ids,
       concat('disabled', circumstances) AS detail, CASE WHEN undone_at IS NOT NULL THEN 'medium' END AS severity
FROM key_removals
WHERE event_name = 'DisableKey' AND used_before >= event_time - INTERVAL '14 days'
