-- title: Calls that took a key out of use, and who needed it
-- row: successful ScheduleKeyDeletion, DisableKey, DeleteImportedKeyMaterial or DeleteExpiredKeyMaterial
-- description: Undone is what a later change took back before another of its kind: the key was enabled, its material imported again, or its deletion cancelled. A table counts where the key still protects it as far as the logs tell.
-- column: used_before : the last successful use of the key that was seen up to the call, NULL where none was
-- column: undone_at : when it was undone, NULL where that was not seen
-- column: undone_by : the principal that undid it
-- column: tables : the names of the DynamoDB tables that the key protects, NULL where none is known
-- column: circumstances : these facts in words, each behind a comma
SELECT *,
       concat(CASE WHEN undone_at IS NOT NULL
                   THEN concat(', undone on ', to_char(undone_at, '%Y-%m-%d %H:%M'), ' by ', undone_by) END,
              CASE WHEN used_before IS NULL THEN ', no use seen before'
                   ELSE concat(', last used ', to_char(used_before, '%Y-%m-%d %H:%M')) END,
              CASE WHEN tables IS NOT NULL
                   THEN concat(', protects ', cardinality(tables), ' table(s): ', array_to_string(array_slice(tables, 1, 3), ', '))
                   END) AS circumstances
FROM (
    SELECT c.*, greatest(u.used_before, CASE WHEN k.last_use <= c.event_time THEN k.last_use END) AS used_before,
           CASE WHEN s.is_undone THEN s.valid_to END AS undone_at, CASE WHEN s.is_undone THEN s.next_by END AS undone_by, t.tables
    FROM calls c
    LEFT JOIN (
        SELECT r.event_id, max(u.event_time) AS used_before
        FROM calls r JOIN key_use u ON r.key_arn = u.key_arn AND u.event_time <= r.event_time
        WHERE r.operation_class = 'lifecycle' AND r.outcome = 'success'
          AND r.event_name IN ('ScheduleKeyDeletion', 'DisableKey', 'DeleteImportedKeyMaterial', 'DeleteExpiredKeyMaterial')
        GROUP BY r.event_id) u ON c.event_id = u.event_id
    LEFT JOIN keys k ON c.key_arn = k.key_arn
    LEFT JOIN (
        SELECT key_arn, set_event_id, valid_to, lead(set_by) OVER periods AS next_by,
               lead(state) OVER periods = 'Enabled' OR state <> 'Disabled' AND lead(state) OVER periods = 'Disabled' AS is_undone
        FROM key_states
        WINDOW periods AS (PARTITION BY key_arn ORDER BY valid_from NULLS FIRST)) s
        ON c.key_arn = s.key_arn AND c.event_id = s.set_event_id
    LEFT JOIN (
        SELECT key_arn, array_agg(DISTINCT table_name ORDER BY table_name) AS tables
        FROM table_keys WHERE key_arn IS NOT NULL AND valid_to IS NULL GROUP BY key_arn) t ON c.key_arn = t.key_arn
    WHERE c.operation_class = 'lifecycle' AND c.outcome = 'success'
      AND c.event_name IN ('ScheduleKeyDeletion', 'DisableKey', 'DeleteImportedKeyMaterial', 'DeleteExpiredKeyMaterial'))
