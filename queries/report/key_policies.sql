-- title: Policy versions of the keys in question
-- none: No version of the key's policy is in the logs.
-- rest: keytrail query key-policy-versions -p key=KEY
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
SELECT key_arn, version, valid_from, valid_to, set_by, set_event_id, reading, added, removed, changed,
       newly_allows, notable, of_key
FROM (
    SELECT p.*, count(*) OVER (PARTITION BY p.key_arn) AS of_key,
           row_number() OVER (PARTITION BY p.key_arn
                              ORDER BY p.valid_from DESC NULLS LAST, p.version DESC NULLS LAST, p.set_event_id) AS newest
    FROM key_policies p
    JOIN in_question q ON q.key_arn = p.key_arn)
WHERE newest <= 4
ORDER BY key_arn, newest DESC
