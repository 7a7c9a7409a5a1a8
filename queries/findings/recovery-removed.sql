-- title: The way back to a table was cut, beside an export or a change of its key
-- severity: high
-- why: Within a week a table was exported, or its key was changed or taken out of use, and point-in-time recovery was switched off, a backup deleted, or the table itself: what whoever holds data to ransom does so that nobody can restore it. Medium for a table that was deleted, as the end of an application looks the same.
-- controls: NIST CP-9
-- attack: T1490 Inhibit System Recovery
-- false-positives: Taking an application down: export, delete the table and its backups, delete the key.
-- next: `keytrail trace TABLE` shows the order of things; `aws dynamodb list-backups` what is left.
-- set: default
-- needs: dynamodb
-- needs: kms_writes
SELECT c.event_time, split_part(c.table_of, ':', 5) AS account_id, split_part(c.table_of, ':', 4) AS region, c.principal,
       array_compact(make_array(c.session_arn)) AS sessions, array_compact(make_array(c.source_ip_address)) AS source_ips,
       min(s.key_arn) AS key_arn, split_part(c.table_of, '/', 2) AS table_name, c.outcome,
       array_prepend(c.event_id, array_slice(array_distinct(array_agg(s.event_id ORDER BY s.event_time, s.event_id)), 1, 19))
           AS event_ids,
       concat(CASE c.event_name WHEN 'UpdateContinuousBackups' THEN 'point-in-time recovery switched off'
                                WHEN 'DeleteBackup' THEN 'backup deleted' ELSE 'table deleted' END,
              ', within 7 days of ', array_to_string(array_agg(DISTINCT s.what ORDER BY s.what), ', ')) AS detail,
       CASE c.event_name WHEN 'DeleteTable' THEN 'medium' END AS severity
FROM (
    SELECT *, CASE event_name WHEN 'DeleteBackup'
                   THEN split_part(json_get_str(request_parameters, 'backupArn'), '/backup/', 1) ELSE table_arn END AS table_of
    FROM calls
    WHERE event_source = 'dynamodb.amazonaws.com' AND outcome = 'success'
      AND (event_name IN ('DeleteBackup', 'DeleteTable')
           OR event_name = 'UpdateContinuousBackups'
              AND NOT json_get_bool(request_parameters, 'pointInTimeRecoverySpecification', 'pointInTimeRecoveryEnabled'))) c
JOIN (
    SELECT coalesce(json_get_str(request_parameters, 'tableArn'), table_arn) AS table_arn,
           arrow_cast(NULL, 'Utf8') AS key_arn, event_time, event_id, 'its export' AS what
    FROM calls
    WHERE event_source = 'dynamodb.amazonaws.com' AND event_name = 'ExportTableToPointInTime' AND outcome = 'success'
    UNION ALL
    SELECT t.table_arn, t.key_arn, u.event_time, u.event_id, 'a change of its key'
    FROM table_keys t JOIN calls u ON u.event_id = t.set_event_id AND u.table_arn = t.table_arn
    WHERE u.event_source = 'dynamodb.amazonaws.com' AND u.event_name = 'UpdateTable'
    UNION ALL
    SELECT t.table_arn, t.key_arn, r.event_time, r.event_id, concat(r.event_name, ' of its key')
    FROM table_keys t
    JOIN calls r ON r.key_arn = t.key_arn AND (t.valid_from IS NULL OR t.valid_from <= r.event_time)
                    AND (t.valid_to IS NULL OR t.valid_to >= r.event_time - INTERVAL '7 days')
    WHERE r.operation_class = 'lifecycle' AND r.outcome = 'success'
      AND r.event_name IN ('ScheduleKeyDeletion', 'DisableKey', 'DeleteImportedKeyMaterial')) s
    ON s.table_arn = c.table_of
       AND s.event_time BETWEEN c.event_time - INTERVAL '7 days' AND c.event_time + INTERVAL '7 days'
GROUP BY c.event_time, c.table_of, c.principal, c.session_arn, c.source_ip_address, c.outcome, c.event_id, c.event_name
