-- title: DynamoDB's calls to KMS per caller
-- description: How many calls to KMS DynamoDB made per caller, by operation and outcome.
SELECT principal, event_name, outcome, count(*) AS calls, min(event_time) AS first_seen, max(event_time) AS last_seen
FROM calls
WHERE operation_class IS NOT NULL AND via_service = 'dynamodb'
GROUP BY principal, event_name, outcome
ORDER BY calls DESC, principal, event_name, outcome
