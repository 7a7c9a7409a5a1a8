-- title: Who used which key through DynamoDB, on which table
-- row: principal × table × key
-- description: Calls are a lower bound of reads: DynamoDB caches a table's key.
-- column: calls : successful uses of the key, of a ReEncrypt from a key to itself one
-- column: first_seen : the first of these uses
-- column: last_seen : the last of these uses
-- column: windows : five-minute spans with a use
-- column: denied_on_key : refused uses of the key by the principal, by any route and for whatever table: a refusal names none
SELECT principal, table_arn, table_name, key_arn, calls, first_seen, last_seen, windows, denied_on_key
FROM (
    SELECT principal, table_arn, table_name, key_arn, calls, first_seen, last_seen, windows,
           CASE WHEN key_arn IS NULL THEN 0 ELSE sum(denied) OVER (PARTITION BY principal, key_arn) END AS denied_on_key
    FROM (
        SELECT principal, table_arn, table_name, key_arn, count(*) FILTER (WHERE outcome = 'success') AS calls,
               min(event_time) FILTER (WHERE outcome = 'success') AS first_seen,
               max(event_time) FILTER (WHERE outcome = 'success') AS last_seen,
               count(DISTINCT date_bin(INTERVAL '5 minutes', event_time)) FILTER (WHERE outcome = 'success') AS windows,
               count(*) FILTER (WHERE outcome = 'denied') AS denied
        FROM key_attempts
        WHERE (outcome = 'denied' OR (outcome = 'success' AND via_service = 'dynamodb'))
          -- A ReEncrypt from a key to itself is one use of it.
          AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE
        GROUP BY principal, table_arn, table_name, key_arn))
WHERE calls > 0
