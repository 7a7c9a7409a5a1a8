-- title: A DynamoDB table was put under another key
-- severity: high
-- why: Whoever holds the new key decides who reads the table. Critical if that is another account, imported material or an external key store; medium where the table had no customer's key before or its key is not known.
-- controls: NIST SC-12
-- controls: NIST SC-28
-- attack: T1486 Data Encrypted for Impact
-- false-positives: Moving a table to a new key of one's own, as its owners do when they replace a key.
-- next: `keytrail query table-key-history -p table=TABLE` shows all of its keys, `keytrail trace KEY` the new one. Keep the old key: backups need it.
-- set: default
-- needs: dynamodb
-- needs: kms_writes
SELECT c.event_time, split_part(t.table_arn, ':', 5) AS account_id, split_part(t.table_arn, ':', 4) AS region, c.principal,
       array_compact(make_array(c.session_arn)) AS sessions, array_compact(make_array(c.source_ip_address)) AS source_ips,
       t.key_arn, t.table_name, c.outcome, make_array(c.event_id) AS event_ids,
       concat(c.event_name, ' put the table under ', CASE WHEN t.is_foreign THEN 'a key of another account'
                                                          WHEN k.origin = 'EXTERNAL' THEN 'a key with imported material'
                                                          WHEN k.origin = 'EXTERNAL_KEY_STORE' THEN 'a key in an external key store'
                                                          ELSE 'another key' END,
              '; before: ', CASE WHEN t.key_before IS NOT NULL THEN t.key_before WHEN t.kind_before = 'aws_owned' THEN 'a key that AWS owns'
                                 ELSE 'not known' END) AS detail,
       CASE WHEN t.is_foreign OR k.origin IN ('EXTERNAL', 'EXTERNAL_KEY_STORE') THEN 'critical'
            WHEN t.kind_before IN ('aws_owned', 'aws_managed') OR t.key_before IS NULL THEN 'medium' END AS severity
FROM (
    SELECT t.*, split_part(t.key_arn, ':', 5) <> split_part(t.table_arn, ':', 5) AS is_foreign,
           lag(t.key_arn) OVER periods AS key_before, lag(t.key_kind) OVER periods AS kind_before
    FROM table_keys t
    WINDOW periods AS (PARTITION BY t.table_arn ORDER BY t.valid_from NULLS FIRST, t.key_arn)) t
JOIN calls c ON c.event_id = t.set_event_id AND c.event_source = 'dynamodb.amazonaws.com'
LEFT JOIN keys k ON k.key_arn = t.key_arn
WHERE t.key_arn IS NOT NULL AND t.key_kind IN ('customer', 'unknown')
  -- A new table of one's own key is no swap, wherever it comes from.
  AND (c.event_name = 'UpdateTable' AND t.key_before IS DISTINCT FROM t.key_arn
           AND (c.table_arn = t.table_arn OR t.is_foreign OR k.origin IN ('EXTERNAL', 'EXTERNAL_KEY_STORE'))
       OR c.event_name IN ('RestoreTableFromBackup', 'RestoreTableToPointInTime', 'CreateGlobalTable', 'UpdateGlobalTable')
           AND (t.is_foreign OR k.origin IN ('EXTERNAL', 'EXTERNAL_KEY_STORE')))
