-- title: Principals and keys
-- none: No use of a key was seen in what was read.
-- rest: keytrail query key-users
-- narrows: key_use, denials
-- description: The principals and keys with most uses and refusals; the others together, with neither name.
WITH met AS (
    SELECT principal, coalesce(key_arn, 'no key') AS key_arn, 1 AS used, 0 AS refused FROM key_use
    WHERE (key_arn IS NOT NULL OR event_name <> 'GenerateRandom')
      AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE
    UNION ALL SELECT principal, coalesce(key_arn, source_key_arn, 'no key'), 0, 1 FROM denials WHERE noise_class IS NULL
),
pairs AS (SELECT principal, key_arn, sum(used) AS used, sum(refused) AS refused FROM met GROUP BY principal, key_arn),
principals_met AS (
    SELECT principal, row_number() OVER (ORDER BY sum(refused) > 0 DESC, sum(used + refused) DESC, principal) AS place
    FROM pairs GROUP BY principal),
keys_met AS (
    SELECT key_arn, row_number() OVER (ORDER BY sum(refused) > 0 DESC, sum(used + refused) DESC, key_arn) AS place
    FROM pairs GROUP BY key_arn),
placed AS (
    SELECT CASE WHEN p.place <= 40 THEN p.place ELSE 41 END AS row_place,
           CASE WHEN k.place <= 12 THEN k.place ELSE 13 END AS column_place,
           CASE WHEN p.place <= 40 THEN x.principal END AS row_name,
           CASE WHEN k.place <= 12 THEN x.key_arn END AS column_name,
           x.used, x.refused
    FROM pairs x JOIN principals_met p ON p.principal = x.principal JOIN keys_met k ON k.key_arn = x.key_arn)
SELECT row_place, row_name, column_place, column_name, sum(used) AS used, sum(refused) AS refused,
       (SELECT count(*) FROM principals_met) AS rows_in_all, (SELECT count(*) FROM keys_met) AS columns_in_all
FROM placed
GROUP BY row_place, row_name, column_place, column_name
ORDER BY row_place, column_place
