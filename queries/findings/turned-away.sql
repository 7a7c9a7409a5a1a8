-- title: A principal that used a key is only refused since
-- severity: high
-- why: Somebody lost access that was in use: by an attack that locks owners out, or by a change that breaks a program. The refusals began within a week of the last success.
-- controls: NIST SC-12(1)
-- controls: NIST AC-2
-- attack: T1531 Account Access Removal
-- false-positives: Access that was taken away on purpose, whose user does not know it yet. One refusal alone after a change, or three without one, are medium: the call may have had a context that was never allowed.
-- next: `keytrail query denials-explained`, `keytrail trace KEY`.
-- next: Ask whoever made the change, and the principal's owner whether something is broken.
-- set: default
-- needs: kms_reads
-- needs: kms_writes
-- needs: iam
WITH last_uses AS (
    SELECT principal, key_arn, event_name, max(last_seen) AS last_success,
           last_value(last_event_id ORDER BY last_seen, last_event_id) AS event_id
    FROM key_use_groups
    WHERE caller_class <> 'service' AND key_arn IS NOT NULL
    GROUP BY principal, key_arn, event_name)
SELECT min(r.event_time) AS event_time, split_part(r.key_arn, ':', 5) AS account_id, split_part(r.key_arn, ':', 4) AS region,
       r.principal, array_slice(array_sort(array_compact(array_agg(DISTINCT r.session_arn))), 1, 20) AS sessions,
       array_slice(array_sort(array_compact(array_agg(DISTINCT r.source_ip_address))), 1, 20) AS source_ips, r.key_arn,
       CASE WHEN min(r.candidate_table) = max(r.candidate_table) THEN split_part(min(r.candidate_table), ':table/', 2) END
           AS table_name,
       'denied' AS outcome,
       array_slice(array_distinct(array_compact(array_concat(make_array(r.success_id, r.change_id),
           array_agg(r.event_id ORDER BY r.event_time, r.event_id)))), 1, 20) AS event_ids,
       concat(r.event_name, ' refused ', count(*), CASE WHEN count(*) = 1 THEN ' time' ELSE ' times' END,
              ' since the last success',
              CASE WHEN r.change_id IS NOT NULL THEN concat('; between them ', min(r.change), ' by ', min(r.changed_by)) END)
           AS detail,
       CASE WHEN r.change_id IS NOT NULL AND count(*) >= 2 THEN 'high' ELSE 'medium' END AS severity,
       count(*) + CASE WHEN r.change_id IS NULL THEN 1 ELSE 2 END AS event_count, max(r.event_time) AS last_time
FROM (
    -- The change that stands before the first of the refusals is between it and the last success, or none is.
    SELECT d.*,
           first_value(CASE WHEN may_take THEN d.nearest_change_event_id END) OVER first_of AS change_id,
           first_value(CASE WHEN may_take THEN d.nearest_change END) OVER first_of AS change,
           first_value(CASE WHEN may_take THEN d.nearest_changed_by END) OVER first_of AS changed_by
    FROM (
        SELECT d.*, u.last_success, u.event_id AS success_id,
               -- What only gives turns nobody away; a policy that is put may have taken another's place.
               d.nearest_changed_at >= u.last_success AND d.nearest_change NOT IN ('CreateGrant', 'CreateKey', 'ReplicateKey',
                   'EnableKey', 'CancelKeyDeletion', 'AttachRolePolicy', 'AttachUserPolicy', 'AttachGroupPolicy',
                   'AddUserToGroup', 'ImportKeyMaterial') AS may_take
        FROM (
            SELECT event_id, event_time, principal, key_arn, event_name, session_arn, source_ip_address,
                   nearest_change_event_id, nearest_change, nearest_changed_at, nearest_changed_by,
                   CASE WHEN cardinality(candidate_tables) = 1 THEN candidate_tables[1] END AS candidate_table
            FROM denials
            WHERE operation_class = 'crypto' AND key_arn IS NOT NULL AND noise_class IS NULL
              AND first_success_after IS NULL) d
        JOIN last_uses u ON u.principal = d.principal AND u.key_arn = d.key_arn AND u.event_name = d.event_name
            AND u.last_success < d.event_time) d
    WINDOW first_of AS (PARTITION BY d.principal, d.key_arn, d.event_name ORDER BY d.event_time, d.event_id)) r
GROUP BY r.principal, r.key_arn, r.event_name, r.change_id, r.success_id, r.last_success
HAVING min(r.event_time) <= r.last_success + INTERVAL '7' DAY
   AND (count(*) >= 3 OR (r.change_id IS NOT NULL
        -- One refusal may be of a context that was never allowed, unless something was taken away.
        AND (count(*) >= 2 OR regexp_like(min(r.change), '^(PutKeyPolicy|RevokeGrant|RetireGrant|Delete|Detach|Remove)'))))
