-- title: Keys in question
-- none: No key has a finding, a chain or a refusal.
-- rest: keytrail query "SELECT * FROM keys"
-- narrows: findings, access_chains, denials
-- description: Keys with findings, with principals that got in after a refusal, or with refusals.
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
SELECT q.key_arn, q.findings, q.chains, q.refused, q.of_all, k.key_kind, k.state, k.origin, k.multi_region, k.created_at,
       k.rotation_setting, k.last_rotated, k.deletion_date, k.first_use, k.last_use, k.uses, k.failed, a.aliases
FROM in_question q
LEFT JOIN keys k ON k.key_arn = q.key_arn
LEFT JOIN (
    SELECT key_arn, array_sort(array_agg(DISTINCT alias_arn)) AS aliases FROM key_aliases WHERE key_arn IS NOT NULL
    GROUP BY key_arn) a ON a.key_arn = q.key_arn
ORDER BY q.findings DESC, q.chains DESC, q.refused DESC, q.key_arn
