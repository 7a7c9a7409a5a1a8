-- title: Use of keys by hour
-- description: Successful uses of each key in each hour, UTC.
-- param: key text : ARN, id or alias/NAME
SELECT hour, key_arn, sum(calls) AS calls, count(*) AS principals
FROM (
    SELECT date_trunc('hour', event_time) AS hour, key_arn, principal, count(*) AS calls
    FROM key_use
    -- A ReEncrypt from a key to itself is one use of it.
    WHERE key_arn IS NOT NULL AND (key_role <> 'destination' OR source_key_arn IS DISTINCT FROM key_arn)
      AND (CAST($key AS VARCHAR) IS NULL OR CAST($key AS VARCHAR) IN (key_arn, key_id)
           OR (starts_with(CAST($key AS VARCHAR), 'alias/')
               AND key_arn IN (SELECT key_arn FROM key_calls WHERE requested_alias = CAST($key AS VARCHAR))))
    GROUP BY date_trunc('hour', event_time), key_arn, principal)
GROUP BY hour, key_arn
ORDER BY hour, key_arn
