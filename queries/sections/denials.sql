-- title: Who was denied, and what changed
-- none: No refusal was seen in what was read.
-- place: 3
-- sentence: {principal} was refused {event_name} on {key_arn|requested_alias|a key that is not told}: {denied:time}, last {last_denied}, by {denial_reason|a reason that is not told}[ ({denial_effect})][; {changed_by} called {key_change_between} {changed_at}][; allowed since {first_success_after}].
-- description: Refusals by principal, action and key; the principal's first success at the same after the last of them; and the last change of the key's policy or grants between the two that may have let it in.
WITH refused AS (
    SELECT principal, event_name, key_arn, requested_alias, denied_resource, denial_reason, denial_effect, operation,
           count(*) AS denied, min(event_time) AS first_denied, max(event_time) AS last_denied
    FROM (
        SELECT principal, event_name, coalesce(key_arn, source_key_arn) AS key_arn, denial_reason, denial_effect, event_time,
               -- All that is known of the key where the record does not name it, or what was refused beside the key.
               CASE WHEN coalesce(key_arn, source_key_arn) IS NULL OR denied_resource = alias_arn
                   THEN coalesce(alias_arn, requested_alias) END AS requested_alias,
               nullif(nullif(denied_resource, coalesce(key_arn, source_key_arn)), coalesce(alias_arn, requested_alias))
                   AS denied_resource,
               -- What KMS was asked for: another service's own record of a refusal only names the action.
               CASE WHEN operation_class IS NOT NULL THEN event_name ELSE split_part(denied_action, ':', 2) END AS operation
        FROM denials)
    GROUP BY principal, event_name, key_arn, requested_alias, denied_resource, denial_reason, denial_effect, operation),
allowed AS (
    SELECT r.principal, r.event_name, r.key_arn, r.requested_alias, r.denied_resource, r.denial_reason, r.denial_effect, r.operation,
           r.denied, r.first_denied, r.last_denied, min(u.event_time) AS first_allowed
    FROM refused r
    LEFT JOIN (SELECT * FROM key_calls WHERE outcome = 'success' AND operation_class IS NOT NULL) u
        ON u.principal = r.principal AND u.key_arn = r.key_arn AND u.event_name = r.operation AND u.event_time > r.last_denied
    GROUP BY r.principal, r.event_name, r.key_arn, r.requested_alias, r.denied_resource, r.denial_reason, r.denial_effect, r.operation,
             r.denied, r.first_denied, r.last_denied)
SELECT a.principal, a.event_name, a.key_arn, a.requested_alias, a.denied_resource, a.denial_reason, a.denial_effect, a.denied, a.first_denied, a.last_denied,
       last_value(c.event_name ORDER BY c.event_time, c.event_id) AS key_change_between,
       last_value(c.principal ORDER BY c.event_time, c.event_id) AS changed_by,
       max(c.event_time) AS changed_at, a.first_allowed AS first_success_after
FROM allowed a
LEFT JOIN (
    SELECT * FROM key_calls
    WHERE outcome = 'success' AND operation_class IN ('policy', 'grant')
      AND event_name NOT IN ('RevokeGrant', 'RetireGrant')) c
    ON c.key_arn = a.key_arn AND c.event_time > a.last_denied AND c.event_time <= a.first_allowed
GROUP BY a.principal, a.event_name, a.key_arn, a.requested_alias, a.denied_resource, a.denial_reason, a.denial_effect, a.operation, a.denied,
         a.first_denied, a.last_denied, a.first_allowed
ORDER BY a.denied DESC, a.principal, a.event_name, a.key_arn, a.requested_alias, a.denied_resource, a.denial_reason, a.denial_effect, a.operation
