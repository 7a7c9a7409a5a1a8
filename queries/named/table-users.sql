-- title: Users of one table
-- description: Principals seen at a DynamoDB table: by the use of its key, or in DynamoDB's own records, of which one may name several tables. Of a use of the key, trust says whether a service named the table or only the caller did.
-- param: table table : name or ARN of a table
SELECT table_name, table_arn, principal, event_source, event_name, outcome, resource_trust, count(DISTINCT call_id) AS calls,
       min(event_time) AS first_seen, max(event_time) AS last_seen
FROM table_calls
WHERE names_table(CAST($table AS VARCHAR), table_name, table_arn)
GROUP BY table_name, table_arn, principal, event_source, event_name, outcome, resource_trust
ORDER BY table_name, table_arn, principal, event_source, event_name, outcome, resource_trust
