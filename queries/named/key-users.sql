-- title: Who used a key
-- description: Every principal that used a key, directly or through a service, with counts and times. A key is named by ARN, id or alias.
-- param: key key : ARN or id of the key, ARN or alias/NAME of an alias
-- param: since timestamp : not before this time
-- param: until timestamp : before this time
SELECT key_arn, principal, caller_class, via_service, event_name, count(*) AS calls,
       min(event_time) AS first_seen, max(event_time) AS last_seen
FROM key_use
-- A record may not tell which key it was; GenerateRandom uses none. A ReEncrypt from a key to itself is one use of it.
WHERE (key_arn IS NOT NULL OR event_name <> 'GenerateRandom')
  AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE
  AND (names_key(CAST($key AS VARCHAR), key_arn, coalesce(alias_arn, requested_alias))
       -- The keys that an alias was seen to name; of what names no key, the aliases of the key.
       OR coalesce(key_arn, alias_arn) IN (
           SELECT CASE WHEN names_key(CAST($key AS VARCHAR), NULL, alias_arn) THEN key_arn ELSE alias_arn END
           FROM alias_keys WHERE names_key(CAST($key AS VARCHAR), key_arn, alias_arn)))
  AND (CAST($since AS TIMESTAMPTZ) IS NULL OR event_time >= CAST($since AS TIMESTAMPTZ))
  AND (CAST($until AS TIMESTAMPTZ) IS NULL OR event_time < CAST($until AS TIMESTAMPTZ))
GROUP BY key_arn, principal, caller_class, via_service, event_name
ORDER BY key_arn, principal, caller_class, via_service, event_name
