-- title: What the logs can prove, hour by hour
-- none: No hour of the interval is told of by any log or digest.
-- rest: keytrail query "SELECT * FROM coverage_spans"
-- description: The accounts and Regions with most bad hours come first.
WITH lanes AS (
    SELECT account_id, region,
           row_number() OVER (ORDER BY sum(hours) FILTER (WHERE verdict = 'bad') DESC NULLS LAST,
                                       sum(hours) FILTER (WHERE verdict = 'good') DESC NULLS LAST, account_id, region) AS lane
    FROM coverage_spans
    WHERE hours IS NOT NULL
    GROUP BY account_id, region
)
SELECT c.account_id, c.region, l.lane, c.from_hour, c.until_hour, c.hours, c.state, c.basis, c.kms_logged, c.verdict, c.faults,
       (SELECT count(*) FROM lanes) AS lanes_in_all, count(*) OVER (PARTITION BY l.lane) AS of_lane
FROM coverage_spans c
JOIN lanes l ON l.account_id IS NOT DISTINCT FROM c.account_id AND l.region IS NOT DISTINCT FROM c.region
WHERE c.hours IS NOT NULL AND l.lane <= 24
ORDER BY l.lane, c.from_hour
LIMIT 1200
