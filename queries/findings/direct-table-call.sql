-- title: Direct call with the encryption context of a DynamoDB table
-- severity: high
-- why: DynamoDB never hands out a wrapped table key, so a caller who sends its context to KMS directly holds one, or is testing.
SELECT event_time, principal, key_arn, call_id, 'direct call with the context of a DynamoDB table' AS detail
FROM key_calls
WHERE operation_class IS NOT NULL AND caller_class = 'direct' AND resource_service = 'dynamodb' AND table_name IS NOT NULL
  AND event_name IS DISTINCT FROM 'CreateGrant'
