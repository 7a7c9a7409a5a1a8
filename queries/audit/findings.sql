SELECT severity, finding, principal, key_arn, count(*) AS calls, min(event_time) AS first_seen, max(event_time) AS last_seen
FROM (
    SELECT principal, key_arn, event_time,
           CASE WHEN caller_class = 'direct' AND resource_service = 'dynamodb' AND table_name IS NOT NULL
                    THEN 'direct call with the context of a DynamoDB table'
                WHEN event_name IN ('ScheduleKeyDeletion', 'DisableKey') AND outcome = 'success' THEN concat('key removed from use: ', event_name)
                WHEN principal_type = 'Root' THEN concat('root called ', event_name)
                WHEN outcome = 'key_unavailable' THEN 'use of a key that is disabled or unavailable'
                WHEN principal_account_id <> key_account_id THEN concat('caller of account ', principal_account_id)
                WHEN outcome = 'throttled' THEN 'throttled' END AS finding,
           CASE WHEN caller_class = 'direct' AND resource_service = 'dynamodb' AND table_name IS NOT NULL THEN 'high'
                WHEN event_name IN ('ScheduleKeyDeletion', 'DisableKey') AND outcome = 'success' THEN 'high'
                WHEN principal_type = 'Root' THEN 'high'
                WHEN outcome = 'throttled' THEN 'low' ELSE 'medium' END AS severity
    FROM calls WHERE operation_class IS NOT NULL)
WHERE finding IS NOT NULL
GROUP BY severity, finding, principal, key_arn
ORDER BY CASE severity WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END, calls DESC, finding, principal, key_arn
