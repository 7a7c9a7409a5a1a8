-- title: Refused calls that concern KMS, by their own records
-- row: refused call
-- description: Refusals that KMS logged, and those that other services logged alone. A service's record of a refusal that KMS logged too is left out; where only it names the key, the key columns are from there. `denials` has the same rows and says more of each.
SELECT e.* REPLACE (
    coalesce(e.key_arn, s.key_arn) AS key_arn,
    coalesce(e.key_id, split_part(s.key_arn, '/', 2)) AS key_id,
    coalesce(e.key_account_id, split_part(s.key_arn, ':', 5)) AS key_account_id,
    coalesce(e.key_region, split_part(s.key_arn, ':', 4)) AS key_region,
    coalesce(e.key_family, CASE WHEN s.key_arn LIKE '%:key/mrk-%'
        THEN concat(split_part(s.key_arn, ':', 5), '/', split_part(s.key_arn, '/', 2)) ELSE s.key_arn END) AS key_family,
    coalesce(e.key_source, CASE WHEN s.key_arn IS NOT NULL THEN 'request' END) AS key_source)
FROM (
    SELECT kms_event_id, min(key_arn) AS key_arn
    FROM error_echoes
    WHERE outcome = 'denied' AND key_arn IS NOT NULL
    GROUP BY kms_event_id
    -- Two services that name two keys for one refusal would be a guess.
    HAVING min(key_arn) = max(key_arn)) s
RIGHT JOIN (
    SELECT f.*
    FROM (SELECT event_id FROM denial_echoes) d
    RIGHT ANTI JOIN (SELECT * FROM kms_errors WHERE outcome = 'denied') f ON d.event_id = f.event_id) e
ON s.kms_event_id = e.event_id AND e.key_arn IS NULL AND e.source_key_arn IS NULL
