-- title: Changes to keys
-- description: Policies, grants, aliases, rotation, enabling, disabling and deletion, with who did it and how it ended.
-- param: key text : ARN or id of the key, ARN or alias/NAME of an alias
-- param: since timestamp : not before this time
-- param: until timestamp : before this time
SELECT event_time, change, changed_by, person, key_arn, outcome, error_code, event_id
FROM key_changes
WHERE (CAST($key AS VARCHAR) IS NULL OR CAST($key AS VARCHAR) IN (key_arn, key_id, alias_arn, requested_alias)
       -- The keys that it was seen to name.
       OR key_arn IN (SELECT key_arn FROM alias_keys WHERE CAST($key AS VARCHAR) IN (alias, alias_arn)))
  AND (CAST($since AS TIMESTAMPTZ) IS NULL OR event_time >= CAST($since AS TIMESTAMPTZ))
  AND (CAST($until AS TIMESTAMPTZ) IS NULL OR event_time < CAST($until AS TIMESTAMPTZ))
ORDER BY event_time, event_id, object_uri, record_index
