-- title: The states that each key was in, and who changed them
-- row: period of a key's state
-- description: From changes that succeeded. Equal states in a row are one period. Which of two changes of one second was the last is told only where one order alone can have succeeded. A success is proof: where a key is enabled that was to be deleted, the cancelling is not in the logs. It tells changes only: nothing tells when a replica is no longer `Creating`, and a use of a key ends no period; `keys` weighs uses as well, and gives no state where a bad hour may hide a later change. The time that a deletion was scheduled for is in `keys`.
-- column: state : `Enabled`, `Disabled`, `PendingDeletion`, `PendingReplicaDeletion`, `Deleted`, `PendingImport`, `Creating`, or `unknown` between changes of one second that contradict each other and the next
-- column: valid_from : the change that began the period; NULL where it began before what was read
-- column: valid_to : the change that ended it, NULL where none was seen
-- column: set_by : the principal of the change that began it
-- column: set_event_id : the event of that change
SELECT key_arn, event_time, event_id, event_name, principal,
       CASE event_name WHEN 'CreateKey' THEN json_get_str(response_elements, 'keyMetadata', 'keyState')
                       WHEN 'ScheduleKeyDeletion' THEN json_get_str(response_elements, 'keyState') END AS answered_state
FROM calls
WHERE operation_class = 'lifecycle' AND outcome = 'success' AND key_arn IS NOT NULL
  AND event_name IN ('CreateKey', 'EnableKey', 'DisableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'DeleteKey',
                     'ImportKeyMaterial', 'DeleteImportedKeyMaterial', 'DeleteExpiredKeyMaterial')
