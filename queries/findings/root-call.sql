-- title: KMS call by root
-- severity: high
-- why: Root's credentials are for the few tasks that nobody else can do, and calls to KMS are none of them.
SELECT event_time, principal, key_arn, call_id, concat('root called ', event_name, CASE WHEN outcome <> 'success' THEN concat(', ', outcome) END) AS detail
FROM key_calls
WHERE operation_class IS NOT NULL AND principal_type = 'Root'
