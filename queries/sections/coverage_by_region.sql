-- title: How much of the time the logs speak for
-- none: No hour of the interval is told of by any log or digest.
-- place: 5
-- sentence: {account_id}, {region}: of {hours:hour}, {by_digest} good by digests, {by_objects} with some logs, {unknown} untold, {bad} bad[, the first {first_bad}: {why_bad}].
-- description: Hours by account and Region. A good hour has logs, or a digest that names none, and KMS was logged; with logs alone nobody can say that they are all. A bad hour lacks a file that a digest names, has one that could not be read, or KMS was left out of the trail or logging was off. `coverage` has every hour, and the member `coverage` of the JSON every run of equal hours.
SELECT account_id, region, sum(hours) AS hours,
       coalesce(sum(hours) FILTER (WHERE verdict = 'good' AND basis = 'digest'), 0) AS by_digest,
       coalesce(sum(hours) FILTER (WHERE verdict = 'good' AND basis <> 'digest'), 0) AS by_objects,
       coalesce(sum(hours) FILTER (WHERE verdict IS NULL OR verdict NOT IN ('good', 'bad')), 0) AS unknown,
       coalesce(sum(hours) FILTER (WHERE verdict = 'bad'), 0) AS bad,
       min(from_hour) FILTER (WHERE verdict = 'bad') AS first_bad,
       first_value(CASE WHEN kms_logged IN ('excluded', 'stopped') THEN concat('KMS ', kms_logged) ELSE state END ORDER BY from_hour)
           FILTER (WHERE verdict = 'bad') AS why_bad
FROM coverage_spans
GROUP BY account_id, region
ORDER BY account_id, region
