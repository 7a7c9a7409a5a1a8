-- title: Every key that KMS calls name, with what the logs say of it
-- row: key
-- description: NULL where the logs do not say. A key that was never found is none.
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
SELECT key_arn, key_id, key_account_id, key_region, key_kind,
       -- Only its cancelling undoes a deletion. Import of material ends the lack of it, and does not enable a disabled key.
       CASE WHEN removal IN ('PendingDeletion', 'PendingReplicaDeletion', 'Deleted') THEN removal
            WHEN last_step = 'ImportKeyMaterial' AND settled IS DISTINCT FROM 'Disabled' THEN 'Enabled'
            ELSE settled END AS state,
       origin, multi_region, created_at, last_rotated, deletion_date, first_use, last_use, uses, denied, failed
FROM (
    SELECT key_arn, min(key_id) AS key_id, min(key_account_id) AS key_account_id, min(key_region) AS key_region,
           CASE WHEN bool_or(is_aws_managed) THEN 'aws_managed'
                WHEN bool_or(event_name = 'CreateKey' AND outcome = 'success') THEN 'customer' END AS key_kind,
           last_value(new_state ORDER BY event_time NULLS FIRST, event_id)
               FILTER (WHERE new_state IS NOT NULL
                   AND event_name IN ('CreateKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'DeleteKey')) AS removal,
           last_value(new_state ORDER BY event_time NULLS FIRST, event_id)
               FILTER (WHERE new_state IS NOT NULL AND event_name <> 'ImportKeyMaterial') AS settled,
           last_value(event_name ORDER BY event_time NULLS FIRST, event_id)
               FILTER (WHERE new_state IS NOT NULL) AS last_step,
           max(origin) AS origin, bool_or(key_id LIKE 'mrk-%') AS multi_region,
           min(event_time) FILTER (WHERE event_name = 'CreateKey' AND outcome = 'success') AS created_at,
           max(event_time) FILTER (WHERE event_name IN ('RotateKey', 'RotateKeyOnDemand') AND outcome = 'success') AS last_rotated,
           last_value(deletion_date ORDER BY event_time NULLS FIRST, event_id)
               FILTER (WHERE new_state IS NOT NULL
                   AND event_name IN ('CreateKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion')) AS deletion_date,
           min(event_time) FILTER (WHERE operation_class = 'crypto' AND outcome = 'success') AS first_use,
           max(event_time) FILTER (WHERE operation_class = 'crypto' AND outcome = 'success') AS last_use,
           count(*) FILTER (WHERE operation_class = 'crypto' AND outcome = 'success') AS uses,
           count(DISTINCT call_id) FILTER (WHERE outcome = 'denied') AS denied,
           count(DISTINCT call_id) FILTER (WHERE outcome NOT IN ('success', 'denied')) AS failed
    FROM (
        SELECT key_arn, key_id, key_account_id, key_region, event_name, event_time, event_id, call_id, outcome, operation_class,
               outcome = 'success' AND (requested_alias LIKE 'alias/aws/%' OR requested_alias LIKE '%:alias/aws/%'
                   OR json_get_str(response_elements, 'keyMetadata', 'keyManager') = 'AWS') AS is_aws_managed,
               CASE event_name WHEN 'CreateKey' THEN json_get_str(response_elements, 'keyMetadata', 'origin') END AS origin,
               CASE event_name WHEN 'ScheduleKeyDeletion' THEN json_get_str(response_elements, 'deletionDate') END AS deletion_date,
               CASE WHEN outcome = 'success' THEN CASE event_name
                   WHEN 'CreateKey' THEN coalesce(json_get_str(response_elements, 'keyMetadata', 'keyState'), 'Enabled')
                   WHEN 'EnableKey' THEN 'Enabled'
                   WHEN 'DisableKey' THEN 'Disabled'
                   WHEN 'ScheduleKeyDeletion' THEN coalesce(json_get_str(response_elements, 'keyState'), 'PendingDeletion')
                   WHEN 'CancelKeyDeletion' THEN 'Disabled'
                   WHEN 'DeleteKey' THEN 'Deleted'
                   WHEN 'ImportKeyMaterial' THEN 'Enabled'
                   WHEN 'DeleteImportedKeyMaterial' THEN 'PendingImport'
                   WHEN 'DeleteExpiredKeyMaterial' THEN 'PendingImport' END END AS new_state
        FROM key_calls
        -- A ReEncrypt from a key to itself is one use of it.
        WHERE operation_class IS NOT NULL AND key_arn IS NOT NULL
          AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE)
    GROUP BY key_arn
    HAVING bool_or(outcome <> 'not_found'))
