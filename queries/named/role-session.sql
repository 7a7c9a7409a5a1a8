-- title: KMS calls of one role session
-- description: What one session of a role did with keys, in time order.
-- param: session session required : session name or session ARN
SELECT event_time, principal, session_name, event_name, outcome, key_arn, via_service, resource_name, source_ip_address, event_id
FROM calls
WHERE operation_class IS NOT NULL AND session_name IS NOT NULL
  AND CAST($session AS VARCHAR) IN (session_name, session_arn)
ORDER BY event_time, event_id, object_uri, record_index
