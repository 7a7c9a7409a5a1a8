-- title: Access was given, used within the hour, and taken away within a day
-- severity: high
-- why: Access that exists for one use and is gone before anybody looks at the policies is how traces are kept short. Only principals count whose every use of the key lies between the two changes.
-- controls: NIST AC-6(9)
-- controls: NIST AU-6
-- attack: T1070 Indicator Removal
-- false-positives: Break-glass access that is given for a task and taken back as it should be. Grants that a program makes and ends for each job (medium). Uses before the first log are not known.
-- next: `keytrail query key-policy-versions -p key=KEY`, `keytrail query access-given`, `keytrail trace KEY`.
-- next: Ask whoever made the change for the ticket that it was made for.
-- set: default
-- needs: kms_reads
-- needs: kms_writes
-- needs: iam
WITH opened AS (
    -- A version of a key's policy whose new statements are gone with the next.
    SELECT key_arn, set_event_id AS open_event_id, valid_from AS opened_at, set_by AS opened_by, close_event_id, closed_at,
           'high' AS severity, unnest(newly_allows) AS allowed
    FROM (
        SELECT *, lead(set_event_id) OVER same_key AS close_event_id, lead(valid_from) OVER same_key AS closed_at,
               lead(removed) OVER same_key AS next_removed, lead(changed) OVER same_key AS next_changed
        FROM key_policies
        WHERE set_event_id IS NOT NULL AND valid_from IS NOT NULL
        WINDOW same_key AS (PARTITION BY key_arn ORDER BY valid_from, version, set_event_id))
    WHERE cardinality(newly_allows) > 0 AND closed_at > valid_from AND closed_at <= valid_from + INTERVAL '24' HOUR
      AND (cardinality(array_intersect(added, next_removed)) > 0 OR cardinality(array_intersect(changed, next_changed)) > 0)
    UNION ALL
    SELECT key_arn, create_event_id, created_at, created_by, end_event_id, ended_at, 'medium', grantee_principal
    FROM grants
    WHERE created_via IS NULL AND end_kind IN ('revoked', 'retired') AND ended_at <= created_at + INTERVAL '24' HOUR
    UNION ALL
    -- A policy of a role or user that the opposite call takes away again.
    SELECT arrow_cast(NULL, 'Utf8'), event_id, event_time, changed_by, undone_by, undone_at, 'high', target
    FROM (
        SELECT *, lead(event_id) OVER same_policy AS undone_by, lead(event_time) OVER same_policy AS undone_at,
               lead(gives) OVER same_policy AS next_gives
        FROM (
            SELECT event_id, event_time, changed_by, target, allows_kms,
                   change IN ('PutRolePolicy', 'PutUserPolicy', 'AttachRolePolicy', 'AttachUserPolicy') AS gives,
                   coalesce(json_get_str(request_parameters, 'policyName'),
                            json_get_str(request_parameters, 'policyArn')) AS named
            FROM access_changes
            WHERE outcome = 'success' AND change IN (
                'PutRolePolicy', 'PutUserPolicy', 'AttachRolePolicy', 'AttachUserPolicy',
                'DeleteRolePolicy', 'DeleteUserPolicy', 'DetachRolePolicy', 'DetachUserPolicy'))
        WINDOW same_policy AS (PARTITION BY target, named ORDER BY event_time, event_id))
    WHERE gives AND NOT next_gives AND undone_at <= event_time + INTERVAL '24' HOUR AND cardinality(allows_kms) > 0),
-- Who was let in: a role or user by its account and name, whatever its path, `root` for all of an account, `*` for all.
let_in AS (
    SELECT DISTINCT key_arn, open_event_id, opened_at, opened_by, close_event_id, closed_at, severity,
           CASE WHEN allowed = '*' THEN '*' WHEN regexp_like(allowed, '^[0-9]{12}$') THEN allowed
                ELSE split_part(allowed, ':', 5) END AS account,
           CASE WHEN allowed LIKE 'arn:%:sts::%' THEN split_part(allowed, '/', 2)
                WHEN allowed LIKE '%/%' THEN split_part(allowed, '/', -1) END AS name
    FROM (SELECT * REPLACE (split_part(allowed, ' ', 1) AS allowed) FROM opened)),
uses AS (
    SELECT l.open_event_id, l.opened_at, l.opened_by, l.close_event_id, l.closed_at, l.severity, k.key_arn AS used_key,
           k.principal, k.first_seen, k.last_seen, k.calls, k.first_event_id, k.first_session_arn, k.first_source_ip,
           k.table_name
    FROM (SELECT * FROM let_in WHERE key_arn IS NOT NULL) l
    JOIN key_use_groups k ON k.key_arn = l.key_arn
        AND (l.account = '*' OR (k.principal_account_id = l.account
                                 AND (l.name IS NULL OR split_part(k.principal, '/', -1) = l.name)))
    -- A statement may let somebody in twice.
    UNION
    SELECT l.open_event_id, l.opened_at, l.opened_by, l.close_event_id, l.closed_at, l.severity, k.key_arn,
           k.principal, k.first_seen, k.last_seen, k.calls, k.first_event_id, k.first_session_arn, k.first_source_ip,
           k.table_name
    FROM (SELECT * FROM let_in WHERE key_arn IS NULL) l
    JOIN key_use_groups k ON k.principal_account_id = l.account AND split_part(k.principal, '/', -1) = l.name
    WHERE k.key_arn IS NOT NULL)
SELECT opened_at AS event_time, split_part(used_key, ':', 5) AS account_id, split_part(used_key, ':', 4) AS region,
       opened_by AS principal,
       array_compact(make_array(first_value(first_session_arn ORDER BY first_seen, first_event_id))) AS sessions,
       array_compact(make_array(first_value(first_source_ip ORDER BY first_seen, first_event_id))) AS source_ips,
       used_key AS key_arn, first_value(table_name ORDER BY first_seen, first_event_id) AS table_name, 'success' AS outcome,
       array_compact(make_array(open_event_id, first_value(first_event_id ORDER BY first_seen, first_event_id), close_event_id))
           AS event_ids,
       concat('given to ', CASE WHEN principal = opened_by THEN 'itself' ELSE principal END, ', first used after ',
              CAST(date_part('epoch', min(first_seen) - opened_at) / 60 AS BIGINT), ' min, taken away after ',
              CAST(date_part('epoch', closed_at - opened_at) / 60 AS BIGINT), ' min') AS detail,
       min(severity) AS severity, sum(calls) + 2 AS event_count, closed_at AS last_time
FROM uses
GROUP BY opened_at, closed_at, opened_by, open_event_id, close_event_id, used_key, principal
-- IAM and KMS may take some minutes to hear of the end.
HAVING min(first_seen) >= opened_at AND min(first_seen) <= opened_at + INTERVAL '1' HOUR
   AND max(last_seen) <= closed_at + INTERVAL '15' MINUTE
