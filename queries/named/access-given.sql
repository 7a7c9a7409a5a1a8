-- title: Who was given access to KMS, and by whom
-- description: One row per change of IAM, Organizations or KMS that succeeded and whose text allows an action of KMS, or could not be read. Who may use a key only follows from all policies together: a boundary or an SCP allows nothing by itself, and what was allowed before the logs begin is not here. The change of a key's policy stands under its key, and not under those whom it names: `key-policy-versions` has them.
-- param: principal principal : of whom or what was changed: ARN, role/NAME, user/NAME or NAME
SELECT event_time, change, changed_by, person, target_kind, target, allows_kms, reading, key_arn, event_id
FROM access_changes
WHERE outcome = 'success'
  -- An attachment names a policy whose text is elsewhere.
  AND (cardinality(allows_kms) > 0 OR allows_kms IS NULL AND reading IS DISTINCT FROM 'none')
  AND names_principal(CAST($principal AS VARCHAR), target)
ORDER BY event_time, event_id, object_uri, record_index
