-- title: Principals and tables
-- none: No access to a DynamoDB table was seen in what was read.
-- rest: keytrail query table-access
-- narrows: table_access
-- description: The principals and tables with most accesses and refusals; the others together, with neither name.
WITH pairs AS (
    SELECT principal, coalesce(table_arn, table_name) AS table_arn, sum(calls) - sum(denied) AS used, sum(denied) AS refused
    FROM table_access
    WHERE coalesce(table_arn, table_name) IS NOT NULL
    GROUP BY principal, coalesce(table_arn, table_name)
),
principals_met AS (
    SELECT principal, row_number() OVER (ORDER BY sum(refused) > 0 DESC, sum(used + refused) DESC, principal) AS place
    FROM pairs GROUP BY principal),
tables_met AS (
    SELECT table_arn, row_number() OVER (ORDER BY sum(refused) > 0 DESC, sum(used + refused) DESC, table_arn) AS place
    FROM pairs GROUP BY table_arn),
placed AS (
    SELECT CASE WHEN p.place <= 40 THEN p.place ELSE 41 END AS row_place,
           CASE WHEN k.place <= 12 THEN k.place ELSE 13 END AS column_place,
           CASE WHEN p.place <= 40 THEN x.principal END AS row_name,
           CASE WHEN k.place <= 12 THEN x.table_arn END AS column_name,
           x.used, x.refused
    FROM pairs x JOIN principals_met p ON p.principal = x.principal JOIN tables_met k ON k.table_arn = x.table_arn)
SELECT row_place, row_name, column_place, column_name, sum(used) AS used, sum(refused) AS refused,
       (SELECT count(*) FROM principals_met) AS rows_in_all, (SELECT count(*) FROM tables_met) AS columns_in_all
FROM placed
GROUP BY row_place, row_name, column_place, column_name
ORDER BY row_place, column_place
