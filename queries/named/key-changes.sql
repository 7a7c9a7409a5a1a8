-- title: Changes to keys
-- description: Policies, grants, aliases, rotation, enabling, disabling and deletion, with who did it and how it ended.
-- param: key key : ARN or id of the key, ARN or alias/NAME of an alias
-- param: since timestamp : not before this time
-- param: until timestamp : before this time
SELECT event_time, change, changed_by, person, key_arn, outcome, error_code, event_id
FROM key_changes
WHERE (names_key(CAST($key AS VARCHAR), key_arn, coalesce(alias_arn, requested_alias))
       -- The keys that an alias was seen to name; of what names no key, the aliases of the key.
       OR coalesce(key_arn, alias_arn) IN (
           SELECT CASE WHEN names_key(CAST($key AS VARCHAR), NULL, alias_arn) THEN key_arn ELSE alias_arn END
           FROM alias_keys WHERE names_key(CAST($key AS VARCHAR), key_arn, alias_arn)))
  AND (CAST($since AS TIMESTAMPTZ) IS NULL OR event_time >= CAST($since AS TIMESTAMPTZ))
  AND (CAST($until AS TIMESTAMPTZ) IS NULL OR event_time < CAST($until AS TIMESTAMPTZ))
ORDER BY event_time, event_id, object_uri, record_index
