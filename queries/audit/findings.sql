-- Findings by principal and key; a call may have several.
SELECT severity, finding, principal, key_arn, count(DISTINCT call_id) AS calls,
       min(event_time) AS first_seen, max(event_time) AS last_seen
FROM (
    SELECT principal, key_arn, event_time, call_id, finding,
           CASE WHEN finding LIKE 'direct %' OR finding LIKE 'key removed %' OR finding LIKE 'root %' THEN 'high'
                WHEN finding = 'throttled' THEN 'low' ELSE 'medium' END AS severity
    FROM (
        SELECT principal, key_arn, event_time, call_id, unnest(make_array(
            CASE WHEN caller_class = 'direct' AND resource_service = 'dynamodb' AND table_name IS NOT NULL
                THEN CASE event_name WHEN 'CreateGrant' THEN 'direct grant on the context of a DynamoDB table'
                                     ELSE 'direct call with the context of a DynamoDB table' END END,
            CASE WHEN event_name IN ('ScheduleKeyDeletion', 'DisableKey', 'DeleteImportedKeyMaterial') AND outcome = 'success'
                THEN concat('key removed from use: ', event_name) END,
            CASE WHEN principal_type = 'Root' THEN concat('root called ', event_name) END,
            -- Of the two keys of a ReEncrypt the message names the one.
            CASE WHEN outcome = 'key_unavailable' AND operation_class = 'crypto'
                    AND (key_role = 'only' OR strpos(error_message, key_id) > 0
                         OR coalesce(strpos(error_message, ':key/'), 0) = 0)
                THEN 'use of a key that is disabled or unavailable' END,
            CASE WHEN principal_account_id <> key_account_id THEN concat('caller of account ', principal_account_id) END,
            CASE WHEN outcome = 'throttled' THEN 'throttled' END)) AS finding
        FROM key_calls
        WHERE operation_class IS NOT NULL)
    WHERE finding IS NOT NULL)
GROUP BY severity, finding, principal, key_arn
ORDER BY CASE severity WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END, calls DESC, finding, principal, key_arn
