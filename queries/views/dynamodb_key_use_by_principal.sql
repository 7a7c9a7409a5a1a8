-- Who used which key through DynamoDB, on which table. Calls are a lower bound of reads: DynamoDB caches a table's key.
SELECT u.principal, u.table_arn, u.key_arn, u.calls, u.first_seen, u.last_seen, u.windows,
       coalesce(d.denied, 0) AS denied_on_key
FROM (
    SELECT principal, table_arn, key_arn, count(*) AS calls, min(event_time) AS first_seen, max(event_time) AS last_seen,
           count(DISTINCT date_bin(INTERVAL '5 minutes', event_time)) AS windows
    FROM dynamodb_key_use
    GROUP BY principal, table_arn, key_arn) u
LEFT JOIN (
    SELECT principal, key_arn, count(*) AS denied
    FROM key_attempts WHERE outcome = 'denied'
    GROUP BY principal, key_arn) d
ON d.principal = u.principal AND d.key_arn = u.key_arn
