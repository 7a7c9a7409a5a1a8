-- title: A key was brought in, and then taken away
-- severity: critical
-- why: Within a day one principal put data under a key whose material it holds, or under another account's, and then took a key out of use or locked its owners out: the two steps of holding data to ransom. High where the key that was taken is another than the imported one; medium where it is a table's former key, as a careless replacement looks the same.
-- controls: NIST SC-12
-- controls: NIST IR-4
-- attack: T1486 Data Encrypted for Impact
-- false-positives: Tests of imported material that clean up after themselves; replacing a table's key and deleting the old one at once.
-- next: Revoke the sessions of the principal now, then `aws kms cancel-key-deletion` and `aws kms enable-key`.
-- next: `keytrail trace PRINCIPAL` shows all that it did.
-- set: default
-- needs: kms_writes
-- needs: kms_reads
-- needs: dynamodb
SELECT min(p.event_time) AS event_time, r.key_account_id AS account_id, r.key_region AS region, r.principal,
       array_compact(make_array(r.session_arn)) AS sessions, array_compact(make_array(r.source_ip_address)) AS source_ips,
       r.key_arn, min(p.table_name) AS table_name, 'success' AS outcome,
       array_append(array_slice(array_distinct(array_agg(p.event_id ORDER BY p.event_time, p.event_id)), 1, 19),
                    r.event_id) AS event_ids,
       concat(array_to_string(array_agg(DISTINCT p.what ORDER BY p.what), ', '), '; then ', r.event_name,
              CASE WHEN bool_or(p.key_arn = r.key_arn) THEN ' of that key' ELSE ' of a key of the account' END) AS detail,
       CASE WHEN bool_or(p.key_arn = r.key_arn OR p.is_outside) THEN NULL
            WHEN bool_or(p.table_name IS NULL) THEN 'high' ELSE 'medium' END AS severity, r.event_time AS last_time
FROM (
    SELECT *
    FROM calls
    WHERE operation_class IN ('lifecycle', 'policy') AND outcome = 'success' AND key_arn IS NOT NULL
      AND (event_name IN ('ScheduleKeyDeletion', 'DisableKey')
           OR event_name = 'PutKeyPolicy' AND json_get_bool(request_parameters, 'bypassPolicyLockoutSafetyCheck'))) r
JOIN (
    SELECT principal, event_time, event_id, key_arn, arrow_cast(NULL, 'Utf8') AS table_name,
           event_name = 'CreateCustomKeyStore' AS is_outside,
           CASE event_name WHEN 'ImportKeyMaterial' THEN 'imported key material'
                           WHEN 'CreateKey' THEN 'created a key in an external key store'
                           ELSE 'created an external key store' END AS what
    FROM calls
    WHERE operation_class = 'lifecycle' AND outcome = 'success'
      AND (event_name = 'ImportKeyMaterial'
           OR event_name = 'CreateKey' AND json_get_str(response_elements, 'keyMetadata', 'origin') = 'EXTERNAL_KEY_STORE'
           OR event_name = 'CreateCustomKeyStore'
              AND json_get_str(request_parameters, 'customKeyStoreType') = 'EXTERNAL_KEY_STORE')
    UNION ALL
    SELECT c.principal, c.event_time, c.event_id, t.key_arn, t.table_name, false, 'put a table under another key'
    FROM table_keys t JOIN calls c ON c.event_id = t.set_event_id
    WHERE t.key_arn IS NOT NULL AND t.key_kind IN ('customer', 'unknown')
      AND c.event_source = 'dynamodb.amazonaws.com' AND c.event_name = 'UpdateTable'
    UNION ALL
    -- A stream of these is told by its first in each hour.
    SELECT principal, min(event_time), first_value(event_id ORDER BY event_time, event_id), key_arn, NULL, true,
           'put data under a key of another account'
    FROM key_use
    WHERE caller_class = 'forwarded' AND principal_account_id <> key_account_id AND recipient_account_id = principal_account_id
      AND event_name IN ('GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'Encrypt')
    GROUP BY principal, key_arn, date_trunc('hour', event_time)) p
    ON p.principal = r.principal AND p.event_time <= r.event_time AND p.event_time >= r.event_time - INTERVAL '24 hours'
GROUP BY r.key_account_id, r.key_region, r.principal, r.session_arn, r.source_ip_address, r.key_arn, r.event_id, r.event_name,
         r.event_time
