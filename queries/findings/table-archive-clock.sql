-- title: The key of a DynamoDB table is unavailable, and the table will be archived
-- severity: high
-- why: A table whose key cannot be used refuses all access, and after seven days DynamoDB takes a backup and deletes it. Enabling the key before then brings the table back.
-- controls: NIST CP-9
-- controls: NIST SC-12
-- attack: T1489 Service Stop
-- false-positives: A table that is to go anyway; a change back that is not in the logs.
-- next: `aws dynamodb describe-table` shows InaccessibleEncryptionDateTime, from which the seven days count.
-- next: `aws kms enable-key`, after `aws kms cancel-key-deletion` if a deletion is pending.
-- set: default
-- needs: kms_writes
-- needs: dynamodb
SELECT s.valid_from AS event_time, split_part(t.table_arn, ':', 5) AS account_id, split_part(t.table_arn, ':', 4) AS region,
       s.set_by AS principal, array_compact(make_array(c.session_arn)) AS sessions,
       array_compact(make_array(c.source_ip_address)) AS source_ips, s.key_arn, t.table_name, 'success' AS outcome,
       make_array(s.set_event_id) AS event_ids,
       concat('the key is ', s.state, ' since ', to_char(s.valid_from, '%Y-%m-%d %H:%M'),
              CASE WHEN s.valid_to IS NULL THEN ' as far as the logs tell; DynamoDB archives the table from '
                   ELSE concat(' to ', to_char(s.valid_to, '%Y-%m-%d %H:%M'), '; DynamoDB may have archived the table from ')
                   END, to_char(s.valid_from + INTERVAL '7 days', '%Y-%m-%d %H:%M'), ' on') AS detail
FROM (
    -- A key that goes from one of these states to another is unavailable from the first on.
    SELECT key_arn, min(valid_from) AS valid_from,
           CASE WHEN NOT bool_or(valid_to IS NULL) THEN max(valid_to) END AS valid_to,
           last_value(state ORDER BY valid_from) AS state, first_value(set_by ORDER BY valid_from) AS set_by,
           first_value(set_event_id ORDER BY valid_from) AS set_event_id
    FROM (
        SELECT *, sum(CASE WHEN is_unavailable THEN 0 ELSE 1 END)
                      OVER (PARTITION BY key_arn ORDER BY valid_from NULLS FIRST) AS run
        FROM (
            -- A new key that waits for its first material protects nothing yet.
            SELECT *, state IN ('Disabled', 'PendingDeletion', 'Deleted')
                      OR state = 'PendingImport'
                         AND lag(state) OVER periods IS NOT NULL AS is_unavailable
            FROM key_states
            WINDOW periods AS (PARTITION BY key_arn ORDER BY valid_from NULLS FIRST)))
    WHERE is_unavailable AND valid_from IS NOT NULL
    GROUP BY key_arn, run) s
JOIN (SELECT DISTINCT table_arn, table_name, key_arn, valid_from, valid_to FROM table_keys WHERE key_arn IS NOT NULL) t
    ON t.key_arn = s.key_arn AND (t.valid_from IS NULL OR t.valid_from < s.valid_from)
       AND (t.valid_to IS NULL OR t.valid_to > s.valid_from + INTERVAL '7 days')
JOIN keys k ON k.key_arn = s.key_arn
LEFT JOIN calls c ON c.event_id = s.set_event_id AND c.key_arn = s.key_arn
WHERE (s.valid_to IS NULL OR s.valid_to > s.valid_from + INTERVAL '7 days')
  -- What was over before the interval is no clock.
  AND (CAST($since AS TIMESTAMPTZ) IS NULL OR s.valid_from >= CAST($since AS TIMESTAMPTZ) - INTERVAL '7 days')
  -- A use since proves that a change back is not in the logs.
  AND (s.valid_to IS NOT NULL OR k.last_use IS NULL OR k.last_use <= s.valid_from + INTERVAL '300 seconds')
