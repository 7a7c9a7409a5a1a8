-- title: Use, refusals and changes over time
-- none: No event with a time was kept.
-- rest: keytrail query use-by-hour
-- narrows: key_use, failures, key_changes, access_change_calls
-- description: At most 121 columns, each as wide as `seconds` says.
WITH moments AS (
    SELECT 'used' AS lane, event_time FROM key_use
    WHERE (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE
    UNION ALL SELECT CASE outcome WHEN 'denied' THEN 'refused' ELSE 'failed' END, event_time FROM failures
    UNION ALL SELECT 'changed', event_time FROM key_changes WHERE outcome = 'success'
    UNION ALL SELECT 'changed', event_time FROM access_change_calls
              WHERE outcome = 'success' AND event_source <> 'kms.amazonaws.com'
),
timed AS (SELECT lane, CAST(date_part('epoch', event_time) AS BIGINT) AS second FROM moments WHERE event_time IS NOT NULL),
width AS (
    SELECT CASE WHEN max(second) - min(second) <= 7200 THEN 60 WHEN max(second) - min(second) <= 36000 THEN 300
                WHEN max(second) - min(second) <= 432000 THEN 3600 WHEN max(second) - min(second) <= 2592000 THEN 21600
                WHEN max(second) - min(second) <= 10368000 THEN 86400 WHEN max(second) - min(second) <= 72576000 THEN 604800
                ELSE 2592000 + (max(second) - min(second)) / 120 END AS seconds
    FROM timed)
SELECT to_timestamp_micros((t.second - t.second % w.seconds) * 1000000) AS from_time, w.seconds, t.lane, count(*) AS calls
FROM timed t CROSS JOIN width w
GROUP BY t.second - t.second % w.seconds, w.seconds, t.lane
ORDER BY from_time, lane
