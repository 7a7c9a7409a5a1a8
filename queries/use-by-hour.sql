-- title: Use of keys by hour
-- description: Successful uses of each key in each hour, UTC.
-- param: key text : ARN or id
SELECT hour, key_arn, sum(calls) AS calls, count(*) AS principals
FROM (
    SELECT date_trunc('hour', event_time) AS hour, key_arn, principal, count(DISTINCT call_id) AS calls
    FROM key_use
    WHERE key_arn IS NOT NULL AND (CAST($key AS VARCHAR) IS NULL OR CAST($key AS VARCHAR) IN (key_arn, key_id))
    GROUP BY date_trunc('hour', event_time), key_arn, principal)
GROUP BY hour, key_arn
ORDER BY hour, key_arn
