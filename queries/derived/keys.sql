-- title: Every key that KMS calls name, with what the logs say of it
-- row: key
-- description: NULL where the logs do not say. A key that was never found is none. Uses and failures are those of the interval that was asked for; all else also follows from what is there from before it.
-- column: key_kind : `customer` or `aws_managed`, NULL where neither was seen
-- column: state : the last state that a change of the key tells: `Enabled`, `Disabled`, `PendingDeletion`, `PendingReplicaDeletion`, `Deleted`, `PendingImport`
-- column: origin : where the key's material is from, as its creation says
-- column: multi_region : whether the key is a multi-Region key
-- column: created_at : when the key was created
-- column: last_rotated : the last rotation that was seen
-- column: deletion_date : when the key is to be deleted, as AWS wrote it
-- column: first_use : the first successful use
-- column: last_use : the last successful use
-- column: uses : successful uses, of a ReEncrypt from the key to itself one
-- column: denied : refused calls that name the key
-- column: failed : calls that failed otherwise
SELECT key_arn, key_id, key_account_id, key_region, event_name, event_time, event_id, call_id, outcome, operation_class,
       in_interval(event_time) AS in_scope,
       outcome = 'success' AND (requested_alias LIKE 'alias/aws/%' OR requested_alias LIKE '%:alias/aws/%'
           OR json_get_str(response_elements, 'keyMetadata', 'keyManager') = 'AWS') AS is_aws_managed,
       CASE event_name WHEN 'CreateKey' THEN json_get_str(response_elements, 'keyMetadata', 'origin') END AS origin,
       CASE event_name WHEN 'CreateKey' THEN json_get_str(response_elements, 'keyMetadata', 'keyState')
                       WHEN 'ScheduleKeyDeletion' THEN json_get_str(response_elements, 'keyState') END AS answered_state,
       CASE event_name WHEN 'ScheduleKeyDeletion' THEN json_get_str(response_elements, 'deletionDate') END AS deletion_date
FROM key_calls
-- A ReEncrypt from a key to itself is one use of it.
WHERE operation_class IS NOT NULL AND key_arn IS NOT NULL
  AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE
