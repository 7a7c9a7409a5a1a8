-- title: Was a key used by anybody else?
-- description: One row, always. `used` where others than the principals used the key. Else `unknown` where an hour of the interval is bad (a log is missing, KMS was left out of the trail, logging was off, something could not be read) or none is good; `none_in_complete_log` where digests reach over every hour and all are good; `none_seen` where only the logs that are here say so. The hours are those of the key's account and Region, of a multi-Region key of all Regions in which it is known. Calls that name no key may have concerned this one; refusals of callers in other accounts are not logged here at all.
-- param: key key required : ARN or id of the key, ARN or alias/NAME of an alias
-- param: principals text : those whose use is expected, by ARN, role/NAME, user/NAME or NAME, with commas between; without them, nobody's. A name without an account is of the key's account, or of a service
WITH expected AS (
    SELECT trim(name) AS name
    FROM (SELECT unnest(string_to_array(coalesce(CAST($principals AS VARCHAR), ''), ',')) AS name)
    WHERE trim(name) <> ''),
calls AS (
    SELECT principal, principal_account_id, outcome, key_arn, key_family, alias_arn, requested_alias, recipient_account_id, aws_region,
           count(*) AS calls
    FROM key_attempts
    -- GenerateRandom uses no key, and a ReEncrypt from a key to itself is one use of it.
    WHERE outcome IN ('success', 'denied') AND event_name <> 'GenerateRandom'
      AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE
    GROUP BY principal, principal_account_id, outcome, key_arn, key_family, alias_arn, requested_alias, recipient_account_id, aws_region),
known AS (
    SELECT key_arn, key_family
    FROM keys
    WHERE names_key(CAST($key AS VARCHAR), key_arn, NULL)
       OR key_arn IN (SELECT key_arn AS named FROM key_aliases WHERE names_key(CAST($key AS VARCHAR), NULL, alias_arn))),
named AS (
    SELECT key_arn, key_family FROM known
    UNION
    -- A key that no record names is known by its ARN alone.
    SELECT key_arn, CASE WHEN key_arn LIKE '%:key/mrk-%' THEN concat(split_part(key_arn, ':', 5), '/', split_part(key_arn, '/', 2))
                         ELSE key_arn END
    FROM (SELECT CAST($key AS VARCHAR) AS key_arn) WHERE key_arn LIKE 'arn:%:kms:%:key/%'),
places AS (
    SELECT DISTINCT split_part(key_arn, ':', 5) AS account_id, split_part(key_arn, ':', 4) AS region
    FROM (SELECT key_arn FROM named
          UNION
          SELECT key_arn FROM keys WHERE key_family IN (SELECT key_family FROM named))),
others AS (
    SELECT c.calls, c.outcome,
           CASE WHEN f.key_family IS NOT NULL THEN 1
                WHEN c.key_arn IS NULL AND names_key(CAST($key AS VARCHAR), NULL, coalesce(c.alias_arn, c.requested_alias)) THEN 1
                ELSE 0 END AS is_of_key,
           CASE WHEN c.key_arn IS NULL AND p.account_id IS NOT NULL THEN 1 ELSE 0 END AS may_be_of_key
    FROM (
        SELECT *
        FROM (
            SELECT c.*, c.principal_account_id IS NULL OR a.account_id IS NOT NULL AS is_of_account
            -- Of a key that no record names, the account in which its alias was asked for.
            FROM calls c LEFT JOIN (
                SELECT account_id FROM places
                UNION
                SELECT recipient_account_id FROM calls
                WHERE key_arn IS NULL AND names_key(CAST($key AS VARCHAR), NULL, coalesce(alias_arn, requested_alias))) a
            ON c.principal_account_id = a.account_id) c
        -- A bare name is of the key's account: another account may have a role of that name as well.
        WHERE NOT EXISTS (
            SELECT 1 FROM expected e
            WHERE names_principal(e.name, c.principal) AND (c.is_of_account OR strpos(e.name, ':') > 0))) c
    LEFT JOIN (SELECT DISTINCT key_family FROM named) f ON c.key_family = f.key_family
    LEFT JOIN places p ON c.recipient_account_id = p.account_id AND c.aws_region = p.region),
counted AS (
    SELECT coalesce(sum(calls) FILTER (WHERE is_of_key = 1 AND outcome = 'success'), 0) AS uses,
           coalesce(sum(calls) FILTER (WHERE is_of_key = 1 AND outcome = 'denied'), 0) AS refusals,
           coalesce(sum(calls) FILTER (WHERE may_be_of_key = 1 AND is_of_key = 0 AND outcome = 'success'), 0) AS unattributed_uses,
           coalesce(sum(calls) FILTER (WHERE may_be_of_key = 1 AND is_of_key = 0 AND outcome = 'denied'), 0) AS unattributed_refusals
    FROM others),
hours AS (
    SELECT count(DISTINCT p.account_id || '/' || p.region) AS places,
           count(DISTINCT s.account_id || '/' || s.region) AS told,
           coalesce(sum(s.hours), 0) AS asked,
           coalesce(sum(s.hours) FILTER (WHERE s.verdict = 'good'), 0) AS good,
           coalesce(sum(s.hours) FILTER (WHERE s.verdict = 'good' AND s.basis = 'digest'), 0) AS proved,
           count(*) FILTER (WHERE s.verdict = 'bad') AS bad
    FROM places p LEFT JOIN coverage_spans s ON s.account_id = p.account_id AND s.region = p.region),
-- What nobody can place may be of this key's hours.
apart AS (SELECT coalesce(sum(faults), 0) AS faults FROM coverage_spans WHERE hours IS NULL)
SELECT CASE WHEN uses > 0 THEN 'used'
            WHEN bad > 0 OR faults > 0 OR good = 0 OR told < places THEN 'unknown'
            WHEN proved = asked THEN 'none_in_complete_log'
            ELSE 'none_seen' END AS verdict,
       uses, refusals, unattributed_uses, unattributed_refusals, asked AS hours_asked, good AS hours_good,
       -- Of several keys the first; NULL where no record names the key.
       (SELECT min(key_arn) FROM known) AS key_arn,
       -- Of those who are expected, the ones who were never seen at a key: a slip in a name makes everybody another.
       (SELECT array_agg(name ORDER BY name) FROM expected
        WHERE NOT EXISTS (SELECT 1 FROM calls c WHERE names_principal(expected.name, c.principal))) AS principals_not_seen
FROM counted CROSS JOIN hours CROSS JOIN apart
ORDER BY verdict
