-- title: Grant on the encryption context of a DynamoDB table that DynamoDB did not ask for
-- severity: high
-- why: DynamoDB makes the grants that it needs; one that somebody else makes on a table's context lets its grantee decrypt the table's key.
SELECT event_time, principal, key_arn, call_id, 'direct grant on the context of a DynamoDB table' AS detail
FROM key_calls
WHERE operation_class IS NOT NULL AND caller_class = 'direct' AND resource_service = 'dynamodb' AND table_name IS NOT NULL
  AND event_name = 'CreateGrant'
