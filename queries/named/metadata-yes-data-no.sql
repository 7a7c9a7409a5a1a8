-- title: Who may describe a table and is refused its data by KMS
-- description: Principals whose DescribeTable of a table succeeded, and for whom DynamoDB was refused a key that protected the table then. `certain` counts the refusals that DynamoDB's own record places at the table; the others name no table, and may have been for another one under the same key. Where DynamoDB itself refuses, KMS is not asked, and there is no row.
-- param: table table : name or ARN of a table
SELECT d.principal, d.table_name, d.table_arn, d.described, count(*) AS refused,
       count(*) FILTER (WHERE r.table_certainty = 'certain') AS certain, min(r.event_time) AS first_refused,
       max(r.event_time) AS last_refused, min(r.denial_reason) AS denial_reason, min(r.first_success_after) AS first_success_after
FROM (
    SELECT principal, table_name, table_arn, sum(calls - denied) AS described
    FROM table_access
    WHERE operation = 'DescribeTable' AND names_table(CAST($table AS VARCHAR), table_name, table_arn)
    GROUP BY principal, table_name, table_arn) d
JOIN (
    SELECT principal, unnest(candidate_tables) AS table_arn, table_certainty, event_time, denial_reason, first_success_after
    FROM denials
    WHERE (via_service = 'dynamodb' AND operation_class = 'crypto') OR event_source = 'dynamodb.amazonaws.com') r
    ON r.principal = d.principal AND r.table_arn = d.table_arn
WHERE d.described > 0
GROUP BY d.principal, d.table_name, d.table_arn, d.described
ORDER BY d.principal, d.table_arn, d.table_name
