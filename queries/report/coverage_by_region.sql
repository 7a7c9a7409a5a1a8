-- title: How much of the time the logs speak for
-- none: No hour of the interval is told of by any log or digest.
-- rest: keytrail query coverage-holes
SELECT account_id, region, sum(hours) AS hours,
       coalesce(sum(hours) FILTER (WHERE verdict = 'good' AND basis = 'digest'), 0) AS by_digest,
       coalesce(sum(hours) FILTER (WHERE verdict = 'good' AND basis <> 'digest'), 0) AS by_objects,
       coalesce(sum(hours) FILTER (WHERE verdict IS NULL OR verdict NOT IN ('good', 'bad')), 0) AS untold,
       coalesce(sum(hours) FILTER (WHERE verdict = 'bad'), 0) AS bad,
       sum(faults) AS faults, count(*) OVER () AS of_all,
       sum(coalesce(sum(hours), 0)) OVER () AS hours_in_all,
       sum(coalesce(sum(hours) FILTER (WHERE verdict = 'good' AND basis = 'digest'), 0)) OVER () AS by_digest_in_all,
       sum(coalesce(sum(hours) FILTER (WHERE verdict = 'good' AND basis <> 'digest'), 0)) OVER () AS by_objects_in_all,
       sum(coalesce(sum(hours) FILTER (WHERE verdict = 'bad'), 0)) OVER () AS bad_in_all
FROM coverage_spans
-- What nobody can place is told where it is a fault.
WHERE hours IS NOT NULL OR faults > 0
GROUP BY account_id, region
ORDER BY bad DESC, account_id, region
LIMIT 40
