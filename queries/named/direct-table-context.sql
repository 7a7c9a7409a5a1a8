-- title: Direct calls that carry a DynamoDB table's encryption context
-- description: DynamoDB never hands out a wrapped table key, so a caller who sends its context to KMS directly holds one, or is testing. A grant on the context lets its grantee do so.
-- severity: high
SELECT event_time, principal, session_name, event_name, outcome, table_name, key_arn, key_role, source_ip_address, event_id
FROM key_calls
WHERE operation_class IS NOT NULL AND caller_class = 'direct' AND resource_service = 'dynamodb' AND table_name IS NOT NULL
ORDER BY event_time, event_id, key_role, object_uri, record_index
