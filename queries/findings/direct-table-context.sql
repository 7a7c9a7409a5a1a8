-- title: Direct call with the encryption context of a DynamoDB table
-- severity: high
-- why: DynamoDB never hands out a wrapped table key, so a caller who sends its context to KMS directly holds one, or is testing. A grant that somebody else than DynamoDB makes on the context lets its grantee decrypt the table's key.
SELECT event_time, principal, key_arn, call_id,
       CASE event_name WHEN 'CreateGrant' THEN 'direct grant on the context of a DynamoDB table'
                       ELSE 'direct call with the context of a DynamoDB table' END AS detail
FROM key_calls
WHERE operation_class IS NOT NULL AND caller_class = 'direct' AND resource_service = 'dynamodb' AND table_name IS NOT NULL
