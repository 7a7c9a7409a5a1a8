-- title: Use of keys by hour
-- description: Successful uses of each key in each hour, UTC.
-- param: key text : ARN or id
SELECT date_trunc('hour', event_time) AS hour, key_arn, count(*) AS calls, count(DISTINCT principal) AS principals
FROM key_use
WHERE CAST($key AS VARCHAR) IS NULL OR CAST($key AS VARCHAR) IN (key_arn, key_id)
GROUP BY date_trunc('hour', event_time), key_arn
ORDER BY hour, key_arn
