-- title: DynamoDB's calls to KMS per hour
-- description: How many calls to KMS DynamoDB made in each hour, UTC, by operation and outcome.
SELECT date_trunc('hour', event_time) AS hour, event_name, outcome, count(*) AS calls
FROM calls
WHERE operation_class IS NOT NULL AND via_service = 'dynamodb'
GROUP BY date_trunc('hour', event_time), event_name, outcome
ORDER BY hour, event_name, outcome
