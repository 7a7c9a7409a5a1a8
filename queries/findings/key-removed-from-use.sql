-- title: A key was scheduled for deletion, disabled, or lost its material
-- severity: high
-- why: Whatever is encrypted under the key cannot be read any more, or soon not.
SELECT event_time, principal, key_arn, call_id, concat('key removed from use: ', event_name) AS detail
FROM key_calls
WHERE operation_class IS NOT NULL AND outcome = 'success'
  AND event_name IN ('ScheduleKeyDeletion', 'DisableKey', 'DeleteImportedKeyMaterial')
