-- title: First use of a key by a principal
-- description: For each principal and key the first successful use in what was read; earlier history that was not read may hold an earlier one.
-- param: since timestamp : not before this time
-- param: until timestamp : before this time
SELECT principal, key_arn, min(event_time) AS first_in_scope, first_value(event_id ORDER BY event_time, event_id) AS event_id,
       first_value(event_name ORDER BY event_time, event_id) AS event_name
FROM key_use
-- A record may not tell which key it was. GenerateRandom uses none.
WHERE (key_arn IS NOT NULL OR event_name <> 'GenerateRandom')
  AND (CAST($since AS TIMESTAMPTZ) IS NULL OR event_time >= CAST($since AS TIMESTAMPTZ))
  AND (CAST($until AS TIMESTAMPTZ) IS NULL OR event_time < CAST($until AS TIMESTAMPTZ))
GROUP BY principal, key_arn
ORDER BY first_in_scope, principal, key_arn
