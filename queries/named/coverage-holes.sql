-- title: Hours of which the logs prove nothing about keys
-- description: Runs of hours of an account and Region, from the first object to the last or over the interval that is asked for. `log_missing`: a digest names a log that is not here; `unreadable`: something of the hours could not be read; `kms_excluded`: the trail left KMS out; `logging_stopped`: it was off; `kms_unknown`: logs are there, and nothing tells whether KMS was among what is logged; `no_log`: neither a log nor a digest, so that nobody knows whether anything happened. An account or Region without a single object is here only where it is expected (`--expect`).
SELECT account_id, region, from_hour, until_hour, hours,
       CASE WHEN state = 'missing' THEN 'log_missing' WHEN faults > 0 THEN 'unreadable'
            WHEN kms_logged = 'excluded' THEN 'kms_excluded' WHEN kms_logged = 'stopped' THEN 'logging_stopped'
            WHEN state IN ('covered', 'quiet') THEN 'kms_unknown' ELSE 'no_log' END AS hole,
       state, kms_logged, basis, faults
FROM coverage_spans
WHERE verdict IS DISTINCT FROM 'good'
ORDER BY account_id, region, from_hour
