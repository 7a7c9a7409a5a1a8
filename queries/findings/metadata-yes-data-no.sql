-- title: Who may describe a table was refused its data by KMS
-- severity: info
-- why: DynamoDB's permissions let the principal see the table, and the key kept its data closed: the key's policy is what protects it. Somebody wanted in.
-- controls: NIST AC-3
-- controls: PCI DSS 10.2.1.4
-- attack: T1580 Cloud Infrastructure Discovery
-- false-positives: Operators and inventory tools, which should see tables and no data. `possible`: the key protects several tables, and the refusal names none.
-- next: `keytrail query metadata-yes-data-no`, `keytrail query denials-explained`.
-- next: Ask the table's owner whether the principal should read it.
-- set: default
-- needs: kms_reads
-- needs: dynamodb
SELECT min(r.event_time) AS event_time, split_part(d.table_arn, ':', 5) AS account_id, split_part(d.table_arn, ':', 4) AS region,
       d.principal, array_slice(array_sort(array_compact(array_agg(DISTINCT r.session_arn))), 1, 20) AS sessions,
       array_slice(array_sort(array_compact(array_agg(DISTINCT r.source_ip_address))), 1, 20) AS source_ips,
       CASE WHEN min(r.key_arn) = max(r.key_arn) THEN min(r.key_arn) END AS key_arn,
       d.table_name, 'denied' AS outcome,
       array_slice(array_agg(r.event_id ORDER BY r.event_time, r.event_id), 1, 20) AS event_ids,
       concat(CASE WHEN max(r.is_sure) = 0 THEN 'possible: ' END, 'described the table ', d.described,
              CASE WHEN d.described = 1 THEN ' time' ELSE ' times' END, ', was refused its key ', count(*),
              CASE WHEN count(*) = 1 THEN ' time' ELSE ' times' END,
              CASE WHEN min(r.first_success_after) IS NOT NULL THEN ', and was let in later' END) AS detail,
       count(*) AS event_count, max(r.event_time) AS last_time
FROM (
    SELECT principal, table_name, table_arn, sum(calls - denied) AS described
    FROM table_access
    WHERE operation = 'DescribeTable'
    GROUP BY principal, table_name, table_arn
    HAVING sum(calls - denied) > 0) d
JOIN (
    SELECT event_id, event_time, principal, key_arn, session_arn, source_ip_address, first_success_after,
           CASE WHEN table_certainty = 'possible' THEN 0 ELSE 1 END AS is_sure, unnest(candidate_tables) AS table_arn
    FROM denials
    WHERE ((via_service = 'dynamodb' AND operation_class = 'crypto') OR event_source = 'dynamodb.amazonaws.com')
      AND noise_class IS NULL) r
    ON r.principal = d.principal AND r.table_arn = d.table_arn
GROUP BY d.principal, d.table_arn, d.table_name, d.described
