-- title: Every key that KMS calls name, with what the logs say of it
-- row: key
-- description: NULL where the logs do not say. A key that was never found is none. Counts are of the interval; the rest follows from everything before its end that was read.
-- column: key_family : what the keys of a multi-Region family share; the key itself of others
-- column: key_kind : `customer` or `aws_managed`, NULL where nothing tells: AWS lets nobody change a key that it manages
-- column: state : the last state that the changes of the key tell: `Enabled`, `Disabled`, `PendingDeletion`, `PendingReplicaDeletion`, `Deleted`, `PendingImport`, `Creating`; `key_states` has all of them. A use proves that the key was enabled then: one more than 300 seconds after a change that forbids it leaves NULL, since a change is not in the logs, and a `Creating` replica that was used is `Enabled`. NULL too where a later hour of the key's account and Region is `bad` in `coverage_spans`, which may hide a change, unless the key is deleted
-- column: origin : where the key's material is from, as its creation, an import or a rotation says
-- column: multi_region : whether the key is a multi-Region key
-- column: created_at : when the key was created
-- column: rotation_setting : whether KMS rotates the key by itself: `on`, `off`, or `unknown` where no change of it was seen or a bad hour after the last one may hide another; of a family it is set at the primary
-- column: last_rotated : the last rotation that was seen, NULL where none was
-- column: deletion_date : when the key is or was to be deleted, as AWS wrote it; NULL where `state` is
-- column: first_use : the first successful use; NULL where what was before the interval was not read
-- column: last_use : the last successful use
-- column: uses : successful uses, of a ReEncrypt from the key to itself one
-- column: denied : refused calls that name the key
-- column: failed : calls that failed otherwise
SELECT k.*, b.bad_until
-- What is small stands first in this join: it is what it holds in memory.
FROM (SELECT account_id, region, max(until_hour) AS bad_until
      FROM coverage_spans WHERE verdict = 'bad' GROUP BY account_id, region) b
RIGHT JOIN (
    SELECT key_arn, key_id, key_account_id, key_region, key_family, event_name, event_time, event_id, call_id, outcome,
           operation_class, in_interval(event_time) AS in_interval,
           outcome = 'success' AND (requested_alias LIKE 'alias/aws/%' OR requested_alias LIKE '%:alias/aws/%'
               OR json_get_str(response_elements, 'keyMetadata', 'keyManager') = 'AWS') AS is_aws_managed,
           -- AWS lets nobody do this to a key that it manages.
           event_name IN ('CreateKey', 'PutKeyPolicy', 'EnableKey', 'DisableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion',
                          'EnableKeyRotation', 'DisableKeyRotation', 'RotateKeyOnDemand', 'ImportKeyMaterial', 'ReplicateKey',
                          'DeleteImportedKeyMaterial', 'UpdatePrimaryRegion', 'UpdateKeyDescription', 'TagResource',
                          'UntagResource', 'CreateAlias', 'UpdateAlias') AS is_customer_managed,
           event_name = 'CreateKey' AND key_id LIKE 'mrk-%'
               AND json_get_str(response_elements, 'keyMetadata', 'multiRegionConfiguration', 'multiRegionKeyType')
                   IS DISTINCT FROM 'PRIMARY' AS is_replica,
           json_get_str(service_event_details, 'rotationType') = 'AUTOMATIC' AS is_automatic,
           CASE event_name WHEN 'CreateKey' THEN json_get_str(response_elements, 'keyMetadata', 'origin')
                           WHEN 'RotateKey' THEN json_get_str(service_event_details, 'keyOrigin')
                           WHEN 'ImportKeyMaterial' THEN CASE outcome WHEN 'success' THEN 'EXTERNAL' END END AS origin,
           CASE event_name WHEN 'CreateKey' THEN json_get_str(response_elements, 'keyMetadata', 'keyState')
                           WHEN 'ScheduleKeyDeletion' THEN json_get_str(response_elements, 'keyState') END AS answered_state,
           CASE event_name WHEN 'ScheduleKeyDeletion' THEN json_get_str(response_elements, 'deletionDate') END AS deletion_date
    FROM key_calls
    -- A ReEncrypt from a key to itself is one use of it.
    WHERE operation_class IS NOT NULL AND key_arn IS NOT NULL
      AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE
    UNION ALL
    -- An answer to `aws kms get-key-rotation-status` tells the setting of its time.
    SELECT subject AS key_arn, split_part(subject, '/', 2) AS key_id, split_part(subject, ':', 5) AS key_account_id,
           split_part(subject, ':', 4) AS key_region,
           CASE WHEN subject LIKE '%:key/mrk-%' THEN concat(split_part(subject, ':', 5), '/', split_part(subject, '/', 2))
                ELSE subject END AS key_family,
           'GetKeyRotationStatus' AS event_name, at AS event_time, sha256 AS event_id, sha256 AS call_id, 'success' AS outcome,
           'read' AS operation_class, false AS in_interval, false AS is_aws_managed, false AS is_customer_managed,
           false AS is_replica, false AS is_automatic, NULL AS origin,
           CASE WHEN json_get_bool(body, 'KeyRotationEnabled') THEN 'on' ELSE 'off' END AS answered_state,
           NULL AS deletion_date
    FROM state_answers
    WHERE kind = 'get-key-rotation-status' AND subject LIKE 'arn:%:key/%') k
    ON b.account_id = k.key_account_id AND b.region = k.key_region
