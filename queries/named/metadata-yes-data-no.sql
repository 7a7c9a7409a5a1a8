-- title: Who may describe a table and is refused its data by KMS
-- description: Principals whose DescribeTable of a table succeeded, and for whom DynamoDB was refused a key that protected the table then. `certain` counts the refusals that DynamoDB's own record places at the table; the others name no table, and may have been for another one under the same key. `unnamed` counts refusals through DynamoDB in the table's account and Region that name no key either, as most do: they may have been for any table there. Where DynamoDB itself refuses, KMS is not asked, and there is no row.
-- param: table table : name or ARN of a table
SELECT d.principal, d.table_name, d.table_arn, d.described, count(*) FILTER (WHERE r.is_named) AS refused,
       count(*) FILTER (WHERE r.table_certainty = 'certain') AS certain, count(*) FILTER (WHERE NOT r.is_named) AS unnamed,
       min(r.event_time) AS first_refused, max(r.event_time) AS last_refused, min(r.denial_reason) AS denial_reason,
       min(r.first_success_after) AS first_success_after
FROM (
    -- A refusal is of a table, or of an account and Region.
    SELECT principal, table_name, table_arn, described,
           unnest(make_array(table_arn, concat(split_part(table_arn, ':', 5), '/', split_part(table_arn, ':', 4)))) AS place
    FROM (
        SELECT principal, table_name, table_arn, sum(calls - denied) AS described
        FROM table_access
        WHERE operation = 'DescribeTable' AND names_table(CAST($table AS VARCHAR), table_name, table_arn)
        GROUP BY principal, table_name, table_arn)
    WHERE described > 0) d
JOIN (
    SELECT event_id, principal, is_named, table_certainty, event_time, denial_reason, first_success_after, unnest(places) AS place
    FROM (
        SELECT *, candidate_tables IS NOT NULL AS is_named,
               CASE WHEN candidate_tables IS NOT NULL THEN candidate_tables
                    WHEN key_arn IS NULL AND source_key_arn IS NULL
                        THEN make_array(concat(recipient_account_id, '/', aws_region)) END AS places
        FROM denials
        WHERE (via_service = 'dynamodb' AND operation_class = 'crypto') OR event_source = 'dynamodb.amazonaws.com')
    UNION
    -- A refusal lists 20 candidates: a key with more has the others by its periods.
    SELECT r.event_id, r.principal, true, r.table_certainty, r.event_time, r.denial_reason, r.first_success_after, k.table_arn
    FROM (
        SELECT * FROM denials
        WHERE cardinality(candidate_tables) >= 20 AND via_service = 'dynamodb' AND operation_class = 'crypto') r
    JOIN table_keys k ON r.key_arn = k.key_arn
        AND (k.valid_from IS NULL OR k.valid_from <= r.event_time) AND (k.valid_to IS NULL OR k.valid_to >= r.event_time)) r
    ON r.principal = d.principal AND r.place = d.place
GROUP BY d.principal, d.table_name, d.table_arn, d.described
ORDER BY d.principal, d.table_arn, d.table_name
