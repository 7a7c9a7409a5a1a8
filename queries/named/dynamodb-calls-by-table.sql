-- title: DynamoDB's calls to KMS per table
-- description: How many calls to KMS DynamoDB made per table, by operation and outcome. Refusals and descriptions of a key name no table.
SELECT table_arn, event_name, outcome, count(*) AS calls, min(event_time) AS first_seen, max(event_time) AS last_seen
FROM calls
WHERE operation_class IS NOT NULL AND via_service = 'dynamodb'
GROUP BY table_arn, event_name, outcome
ORDER BY calls DESC, table_arn, event_name, outcome
