-- title: How much of the time the logs speak for
-- none: No hour of the interval is told of by any log or digest.
-- place: 5
-- sentence: {account_id|an account that is not told}, {region|a Region that is not told}: of {hours:hour}, {by_digest} good by digests, {by_objects} with some logs, {unknown} untold, {bad} bad[, the first {first_bad}: {why_bad}][; {faults:fault}].
-- description: Hours by account and Region. A good hour has logs, or a digest that names none, and KMS was logged; with logs alone nobody can say that they are all. A bad hour lacks a file that a digest names, has one that could not be read, or KMS was left out of the trail or logging was off. `coverage` has every hour, and the member `coverage` of the JSON every run of equal hours.
SELECT account_id, region, sum(hours) AS hours,
       coalesce(sum(hours) FILTER (WHERE verdict = 'good' AND basis = 'digest'), 0) AS by_digest,
       coalesce(sum(hours) FILTER (WHERE verdict = 'good' AND basis <> 'digest'), 0) AS by_objects,
       coalesce(sum(hours) FILTER (WHERE verdict IS NULL OR verdict NOT IN ('good', 'bad')), 0) AS unknown,
       coalesce(sum(hours) FILTER (WHERE verdict = 'bad'), 0) AS bad,
       min(from_hour) FILTER (WHERE verdict = 'bad') AS first_bad,
       first_value(CASE WHEN kms_logged = 'excluded' THEN 'KMS left out'
                        WHEN kms_logged = 'stopped' THEN 'logging was off'
                        WHEN state = 'missing' THEN 'a log is missing'
                        ELSE 'something could not be read' END ORDER BY from_hour)
           FILTER (WHERE verdict = 'bad') AS why_bad,
       nullif(sum(faults), 0) AS faults
FROM coverage_spans
-- What nobody can place is told where it is a fault.
WHERE hours IS NOT NULL OR faults > 0
GROUP BY account_id, region
ORDER BY account_id, region
