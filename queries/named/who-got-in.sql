-- title: Who was refused the use of a key and got in later, and what changed between
-- description: One row per run of refusals of a principal at one operation on a key that a success ended. The named change is one that could have let the principal in and stood at the success: a sequence, never a cause. `shown` says that the logs hold the sequence whole, `possible` that something of it is not told, `unexplained` that no change which could be read explains it. A principal that never got in is in `denials-explained` alone. With `--since` a run is what lies in the interval: ask without it, or from before the first refusal.
-- param: key key : ARN or id of the key, ARN or alias/NAME of an alias
-- param: principal principal : of the one who was refused: ARN, role/NAME, user/NAME or NAME
SELECT first_denied, last_denied, principal, key_arn, operation, table_name, denied_count, denied_unnamed, denial_reason,
       change_event_name, changed_at, changed_by, changed_by_self, changer_person, lag_seconds, first_allowed, subject_person,
       evidence, basis, denied_event_id, change_event_id, allowed_event_id, first_data_event_id, other_changes
FROM access_chains
WHERE (names_key(CAST($key AS VARCHAR), key_arn, NULL)
       OR key_arn IN (SELECT key_arn FROM key_aliases WHERE names_key(CAST($key AS VARCHAR), NULL, alias_arn)))
  AND names_principal(CAST($principal AS VARCHAR), principal)
ORDER BY first_allowed, principal, key_arn, operation, denied_event_id
