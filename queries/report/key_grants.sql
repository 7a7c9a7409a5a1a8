-- title: Grants of the keys in question
-- none: No grant of the key is in the logs.
-- rest: keytrail query open-grants -p key=KEY
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
SELECT key_arn, grant_id, grantee_principal, operations, table_name, resource_arn, created_at, created_by, ended_at, ended_by,
       end_kind, state, last_possible_use, of_key
FROM (
    SELECT g.*, count(*) OVER (PARTITION BY g.key_arn) AS of_key,
           row_number() OVER (PARTITION BY g.key_arn
                              ORDER BY g.state = 'ended', g.created_at DESC NULLS LAST, g.grant_id) AS place
    FROM grants g
    JOIN in_question q ON q.key_arn = g.key_arn)
WHERE place <= 6
ORDER BY key_arn, place
