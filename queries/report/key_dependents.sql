-- title: What would notice the loss of the keys in question
-- none: Nothing was seen to depend on the key.
-- rest: keytrail query who-needs-a-key -p key=KEY
-- narrows: findings, access_chains, denials
WITH met AS (
    SELECT key_arn, 1 AS findings, 0 AS chains, 0 AS refused FROM findings WHERE suppressed_by IS NULL
    UNION ALL SELECT key_arn, 0, 1, 0 FROM access_chains
    UNION ALL SELECT coalesce(key_arn, source_key_arn), 0, 0, 1 FROM denials WHERE noise_class IS NULL
),
in_question AS (
    SELECT key_arn, findings, chains, refused, count(*) OVER () AS of_all
    FROM (
        SELECT key_arn, sum(findings) AS findings, sum(chains) AS chains, sum(refused) AS refused
        FROM met
        WHERE key_arn IS NOT NULL
        GROUP BY key_arn)
    ORDER BY findings DESC, chains DESC, refused DESC, key_arn
    LIMIT 16)
SELECT key_arn, kind, dependent, calls, first_seen, last_seen, of_key
FROM (
    SELECT d.*, count(*) OVER (PARTITION BY d.key_arn) AS of_key,
           row_number() OVER (PARTITION BY d.key_arn
                              ORDER BY CASE d.kind WHEN 'table' THEN 0 WHEN 'principal' THEN 1 WHEN 'service' THEN 2
                                                   WHEN 'resource' THEN 3 WHEN 'former_table' THEN 4 ELSE 5 END,
                                       d.calls DESC, d.dependent) AS place
    FROM key_dependents d
    JOIN in_question q ON q.key_arn = d.key_arn
    WHERE d.kind <> 'grant')
WHERE place <= 8
ORDER BY key_arn, place
