-- title: Changes to keys
-- description: Policies, grants, aliases, rotation, enabling, disabling and deletion, with who did it and how it ended.
-- param: key text : ARN, id or alias/NAME
-- param: since timestamp : not before this time
-- param: until timestamp : before this time
SELECT event_time, change, changed_by, person, key_arn, outcome, error_code, event_id
FROM key_changes
WHERE (CAST($key AS VARCHAR) IS NULL OR CAST($key AS VARCHAR) IN (key_arn, key_id)
       OR (starts_with(CAST($key AS VARCHAR), 'alias/')
           AND key_arn IN (SELECT key_arn FROM key_calls WHERE requested_alias = CAST($key AS VARCHAR))))
  AND (CAST($since AS TIMESTAMPTZ) IS NULL OR event_time >= CAST($since AS TIMESTAMPTZ))
  AND (CAST($until AS TIMESTAMPTZ) IS NULL OR event_time < CAST($until AS TIMESTAMPTZ))
ORDER BY event_time, event_id, object_uri, record_index
