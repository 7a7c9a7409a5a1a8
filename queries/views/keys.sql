-- Every key that the logs name, with what they say of it. NULL where the logs do not say.
SELECT key_arn, min(key_id) AS key_id, min(key_account_id) AS key_account_id, min(key_region) AS key_region,
       CASE WHEN bool_or(requested_alias LIKE '%alias/aws/%') THEN 'aws_managed'
            WHEN bool_or(event_name = 'CreateKey') THEN 'customer' END AS key_kind,
       CASE last_value(event_name ORDER BY event_time, event_id) FILTER (WHERE outcome = 'success' AND event_name IN
                ('CreateKey', 'EnableKey', 'DisableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'DeleteKey'))
            WHEN 'CreateKey' THEN 'Enabled' WHEN 'EnableKey' THEN 'Enabled'
            WHEN 'DisableKey' THEN 'Disabled' WHEN 'CancelKeyDeletion' THEN 'Disabled'
            WHEN 'ScheduleKeyDeletion' THEN 'PendingDeletion' WHEN 'DeleteKey' THEN 'Deleted' END AS state,
       max(json_get_str(response_elements, 'keyMetadata', 'origin')) FILTER (WHERE event_name = 'CreateKey') AS origin,
       bool_or(key_id LIKE 'mrk-%') AS multi_region,
       min(event_time) FILTER (WHERE event_name = 'CreateKey' AND outcome = 'success') AS created_at,
       max(event_time) FILTER (WHERE event_name IN ('RotateKey', 'RotateKeyOnDemand') AND outcome = 'success') AS last_rotated,
       last_value(json_get_str(response_elements, 'deletionDate') ORDER BY event_time, event_id)
           FILTER (WHERE event_name = 'ScheduleKeyDeletion' AND outcome = 'success') AS deletion_date,
       min(event_time) FILTER (WHERE operation_class = 'crypto' AND outcome = 'success') AS first_use,
       max(event_time) FILTER (WHERE operation_class = 'crypto' AND outcome = 'success') AS last_use,
       count(*) FILTER (WHERE operation_class = 'crypto' AND outcome = 'success') AS uses,
       count(*) FILTER (WHERE outcome = 'denied') AS denied,
       count(*) FILTER (WHERE outcome NOT IN ('success', 'denied')) AS failed
FROM calls
WHERE operation_class IS NOT NULL AND key_arn IS NOT NULL
GROUP BY key_arn
