-- title: Use of keys by hour
-- description: Successful uses of each key in each hour, UTC.
-- param: key text : ARN or id of the key, ARN or alias/NAME of an alias
SELECT hour, key_arn, sum(calls) AS calls, count(*) AS principals
FROM (
    SELECT date_trunc('hour', event_time) AS hour, key_arn, principal, count(*) AS calls
    FROM key_use
    -- A record may not tell which key it was; GenerateRandom uses none. A ReEncrypt from a key to itself is one use of it.
    WHERE (key_arn IS NOT NULL OR event_name <> 'GenerateRandom')
      AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE
      AND (CAST($key AS VARCHAR) IS NULL OR CAST($key AS VARCHAR) IN (key_arn, key_id, alias_arn, requested_alias)
           -- The keys that it was seen to name.
           OR key_arn IN (SELECT key_arn FROM alias_keys WHERE CAST($key AS VARCHAR) IN (alias, alias_arn)))
    GROUP BY date_trunc('hour', event_time), key_arn, principal)
GROUP BY hour, key_arn
ORDER BY hour, key_arn
