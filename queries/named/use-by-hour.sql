-- title: Use of keys by hour
-- description: Successful uses of each key in each hour, UTC.
-- param: key key : ARN or id of the key, ARN or alias/NAME of an alias
SELECT hour, key_arn, sum(calls) AS calls, count(*) AS principals
FROM (
    SELECT date_trunc('hour', event_time) AS hour, key_arn, principal, count(*) AS calls
    FROM key_use
    -- A record may not tell which key it was; GenerateRandom uses none. A ReEncrypt from a key to itself is one use of it.
    WHERE (key_arn IS NOT NULL OR event_name <> 'GenerateRandom')
      AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE
      AND (names_key(CAST($key AS VARCHAR), key_arn, coalesce(alias_arn, requested_alias))
           -- The keys that an alias was seen to name; of what names no key, the aliases of the key.
           OR coalesce(key_arn, alias_arn) IN (
               SELECT CASE WHEN names_key(CAST($key AS VARCHAR), NULL, alias_arn) THEN key_arn ELSE alias_arn END
               FROM alias_keys WHERE names_key(CAST($key AS VARCHAR), key_arn, alias_arn)))
    GROUP BY date_trunc('hour', event_time), key_arn, principal)
GROUP BY hour, key_arn
ORDER BY hour, key_arn
