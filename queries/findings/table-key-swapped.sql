-- title: A DynamoDB table was put under another key
-- severity: high
-- why: Whoever holds the new key decides who reads the table. Critical if that is another account, imported material or an external key store; medium where AWS owned or managed its key before, low where nobody knows the key before, which may be the same.
-- controls: NIST SC-12
-- controls: NIST SC-28
-- attack: T1486 Data Encrypted for Impact
-- false-positives: Moving a table to a new key of one's own, as its owners do when they replace a key.
-- next: `keytrail query table-key-history -p table=TABLE` shows all of its keys, `keytrail trace KEY` the new one. Keep the old key: backups need it.
-- set: default
-- needs: dynamodb
-- needs: kms_writes
SELECT event_time, table_account_id AS account_id, split_part(table_arn, ':', 4) AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, table_name, outcome, make_array(event_id) AS event_ids,
       concat(CASE WHEN is_known OR danger IS NOT NULL
                   THEN concat(event_name, ' put the table under ', coalesce(danger, 'another key'))
                   ELSE concat('possible: ', event_name, ' named a key, which may be the same as before') END,
              '; before: ', CASE WHEN key_before IS NOT NULL THEN key_before
                                 WHEN kind_before IN ('aws_owned', 'aws_managed') THEN 'a key of AWS'
                                 ELSE 'not known' END) AS detail,
       CASE WHEN danger IS NOT NULL THEN 'critical' WHEN NOT is_known THEN 'low'
            WHEN kind_before IN ('aws_owned', 'aws_managed') THEN 'medium' END AS severity
FROM (
    SELECT c.* REPLACE (t.key_arn AS key_arn, t.table_arn AS table_arn, t.table_name AS table_name), t.table_account_id,
           t.key_before, t.kind_before, c.table_arn = t.table_arn AS is_named,
           t.key_before IS NOT NULL OR coalesce(t.kind_before IN ('aws_owned', 'aws_managed'), false) AS is_known,
           CASE WHEN split_part(t.key_arn, ':', 5) <> t.table_account_id THEN 'a key of another account'
                WHEN k.origin = 'EXTERNAL' THEN 'a key with imported material'
                WHEN k.origin = 'EXTERNAL_KEY_STORE' THEN 'a key in an external key store' END AS danger
    FROM (
        SELECT *, split_part(table_arn, ':', 5) AS table_account_id, lag(key_arn) OVER periods AS key_before,
               lag(key_kind) OVER periods AS kind_before
        FROM table_keys
        WINDOW periods AS (PARTITION BY table_arn ORDER BY valid_from NULLS FIRST, key_arn)) t
    JOIN calls c ON c.event_id = t.set_event_id AND c.event_source = 'dynamodb.amazonaws.com'
    LEFT JOIN keys k ON k.key_arn = t.key_arn
    WHERE t.key_arn IS NOT NULL AND t.key_kind IN ('customer', 'unknown'))
-- A new table or replica under a key of one's own is no swap.
WHERE event_name = 'UpdateTable' AND key_before IS DISTINCT FROM key_arn
          AND (is_named OR key_before IS NOT NULL OR danger IS NOT NULL)
   OR event_name IN ('RestoreTableFromBackup', 'RestoreTableToPointInTime', 'CreateGlobalTable', 'UpdateGlobalTable')
      AND danger IS NOT NULL
