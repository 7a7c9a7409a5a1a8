-- title: A key of which no recent use is known was disabled
-- severity: low
-- why: What is encrypted under the key cannot be read until it is enabled again. No use was seen in the 14 days before; backups may still need it.
-- controls: NIST SC-12
-- controls: CIS AWS 4.7
-- attack: T1489 Service Stop
-- false-positives: Keys that nobody uses are disabled before they are deleted.
-- next: `keytrail trace KEY` shows its whole history; `keytrail query last-use -p key=KEY` says how far back the logs can tell.
-- set: default
-- needs: kms_writes
SELECT event_time, key_account_id AS account_id, key_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, arrow_cast(NULL, 'Utf8') AS table_name, outcome, make_array(event_id) AS event_ids,
       concat('disabled', circumstances) AS detail,
       -- A table needs its key, whether or not it was read.
       CASE WHEN tables IS NOT NULL AND undone_at IS NULL THEN 'high' END AS severity
FROM key_removals
WHERE event_name = 'DisableKey' AND (used_before >= event_time - INTERVAL '14 days') IS NOT TRUE
