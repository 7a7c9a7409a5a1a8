-- title: What each key was: its states, aliases, policies, rotations and grants
-- description: One row per period or rotation, in the order of time. A begin that is NULL was not seen in what was read, an end that is NULL neither. The number of a version and the grantee of a grant are unknown where what began them was not read. A key that nobody changed has no row: what nobody sees is no proof that nothing was changed.
-- param: key key : ARN or id of the key, ARN or alias/NAME of an alias
SELECT key_arn, fact, detail, valid_from, valid_to, set_by, set_event_id
FROM (
    SELECT key_arn, 'state' AS fact, state AS detail, valid_from, valid_to, set_by, set_event_id FROM key_states
    UNION ALL
    SELECT key_arn, 'alias', alias_arn, valid_from, valid_to, set_by, set_event_id FROM key_aliases
    UNION ALL
    SELECT key_arn, 'policy', CASE WHEN version IS NULL THEN 'version of an unknown number' ELSE concat('version ', version) END, valid_from, valid_to, set_by, set_event_id FROM key_policies
    UNION ALL
    SELECT key_arn, 'rotation', kind, rotated_at, CAST(NULL AS TIMESTAMPTZ), NULL, event_id FROM key_rotations
    UNION ALL
    SELECT key_arn, 'grant',
           concat(CASE WHEN operations IS NULL THEN 'unknown operations' ELSE array_to_string(operations, ', ') END, ' for ',
                  coalesce(grantee_principal, 'an unknown grantee')), created_at, ended_at,
           created_by, coalesce(create_event_id, end_event_id)
    FROM grants)
WHERE names_key(CAST($key AS VARCHAR), key_arn, NULL)
   OR key_arn IN (SELECT key_arn AS named FROM key_aliases WHERE names_key(CAST($key AS VARCHAR), NULL, alias_arn))
ORDER BY key_arn, coalesce(valid_from, valid_to), fact, detail, valid_to, set_event_id
