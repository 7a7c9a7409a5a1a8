-- title: A DynamoDB table was moved to a key that AWS owns
-- severity: medium
-- why: Uses of such keys are in no log of the account: from then on nobody can tell from KMS who reached the table, nor revoke the key.
-- controls: NIST AU-2
-- controls: NIST SC-28
-- attack: T1562.008 Disable or Modify Cloud Logs
-- false-positives: Saving the cost of KMS for a table that needs no key of its own.
-- next: `keytrail query table-key-history -p table=TABLE`; switch on data events of DynamoDB, which do not depend on the key.
-- set: default
-- needs: dynamodb
SELECT c.event_time, split_part(t.table_arn, ':', 5) AS account_id, split_part(t.table_arn, ':', 4) AS region, c.principal,
       array_compact(make_array(c.session_arn)) AS sessions, array_compact(make_array(c.source_ip_address)) AS source_ips,
       t.key_before AS key_arn, t.table_name, c.outcome, make_array(c.event_id) AS event_ids,
       concat('moved to a key that AWS owns; before: ', coalesce(t.key_before, 'a key that AWS manages')) AS detail
FROM (
    SELECT *, lag(key_arn) OVER periods AS key_before, lag(key_kind) OVER periods AS kind_before
    FROM table_keys
    WINDOW periods AS (PARTITION BY table_arn ORDER BY valid_from NULLS FIRST, key_arn)) t
JOIN calls c ON c.event_id = t.set_event_id AND c.event_name = 'UpdateTable' AND c.event_source = 'dynamodb.amazonaws.com'
WHERE t.key_kind = 'aws_owned' AND (t.key_before IS NOT NULL OR t.kind_before IN ('customer', 'aws_managed'))
