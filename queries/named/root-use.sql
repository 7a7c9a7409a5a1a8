-- title: KMS calls by root
-- description: Calls to KMS with an account's root credentials, directly or through a service.
-- severity: high
SELECT event_time, recipient_account_id, event_name, outcome, key_arn, via_service, mfa_authenticated, source_ip_address, event_id
FROM calls
WHERE operation_class IS NOT NULL AND principal_type = 'Root'
ORDER BY event_time, event_id, object_uri, record_index
