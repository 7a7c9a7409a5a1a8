-- title: Refused calls, with what the logs say around each
-- description: One row per refusal: the tables that it may have been for, the last change before it that bears on the key or the principal, the principal's first success after it, and the service's own records of it. What stands beside a refusal is before or after it, and not why. A refusal that names no key stands here whatever key is asked for, since it may be of that one. Harmless ones have their class in `noise_class`.
-- param: key key : ARN or id of the key, ARN or alias/NAME of an alias
-- param: principal principal : of the one who was refused: ARN, role/NAME, user/NAME or NAME
SELECT event_time, principal, event_name, key_arn, denial_reason, denial_effect, table_certainty, candidate_tables,
       nearest_change, nearest_changed_at, nearest_changed_by, first_success_after, noise_class, event_id,
       nearest_change_event_id, first_success_event_id, echo_event_ids
FROM denials
WHERE (coalesce(key_arn, source_key_arn, alias_arn, requested_alias) IS NULL
       OR names_key(CAST($key AS VARCHAR), key_arn, coalesce(alias_arn, requested_alias))
       OR names_key(CAST($key AS VARCHAR), source_key_arn, NULL)
       OR coalesce(key_arn, alias_arn) IN (
           SELECT CASE WHEN names_key(CAST($key AS VARCHAR), NULL, alias_arn) THEN key_arn ELSE alias_arn END
           FROM alias_keys WHERE names_key(CAST($key AS VARCHAR), key_arn, alias_arn)))
  AND names_principal(CAST($principal AS VARCHAR), principal)
ORDER BY event_time, event_id, object_uri, record_index
