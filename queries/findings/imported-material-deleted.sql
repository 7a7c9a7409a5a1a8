-- title: The imported material of a key was deleted
-- severity: high
-- why: The key is unusable at once, without any waiting period, and for good unless somebody still holds the material. Medium if it was imported again.
-- controls: PCI DSS 3.7.5
-- controls: NIST SC-12
-- attack: T1485 Data Destruction
-- false-positives: Some teams take material out between uses, or delete it to destroy data on purpose.
-- next: Ask the owners of the material if they hold a copy: importing the same material again brings the key back.
-- next: `keytrail query who-needs-a-key -p key=KEY` tells who would notice.
-- set: default
-- needs: kms_writes
SELECT event_time, key_account_id AS account_id, key_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, arrow_cast(NULL, 'Utf8') AS table_name, outcome, make_array(event_id) AS event_ids,
       concat('imported material deleted', circumstances) AS detail,
       CASE WHEN undone_at IS NOT NULL THEN 'medium' END AS severity
FROM key_removals
WHERE event_name = 'DeleteImportedKeyMaterial'
