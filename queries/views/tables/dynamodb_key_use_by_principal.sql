-- title: Who used which key through DynamoDB, on which table
-- row: principal × table × key
-- description: Calls are a lower bound of accesses, reads or writes: DynamoDB caches a table's key.
-- column: calls : successful uses of the key, of a ReEncrypt from a key to itself one
-- column: first_seen : the first of these uses
-- column: last_seen : the last of these uses
-- column: windows : the rows in `dynamodb_access_windows`
-- column: denied_on_key : refused uses of the key by the principal, by any route and for whatever table: a refusal names none
SELECT w.principal, w.table_arn, w.table_name, w.key_arn, w.calls, w.first_seen, w.last_seen, w.windows,
       coalesce(d.denied, 0) AS denied_on_key
FROM (
    SELECT principal, key_arn, count(*) AS denied
    FROM key_attempts
    WHERE outcome = 'denied' AND key_arn IS NOT NULL
      -- A ReEncrypt from a key to itself is one use of it.
      AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE
    GROUP BY principal, key_arn) d
RIGHT JOIN (
    SELECT principal, table_arn, table_name, key_arn, sum(key_calls) AS calls, min(started) AS first_seen,
           max(ended) AS last_seen, count(*) AS windows
    FROM dynamodb_access_windows
    GROUP BY principal, table_arn, table_name, key_arn) w
ON d.principal = w.principal AND d.key_arn = w.key_arn
