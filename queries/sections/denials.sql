-- title: Who was denied, and what changed
-- none: No refusal was seen in what was read.
-- place: 3
-- sentence: {principal} was refused {event_name} on {key_arn|requested_alias|a key that is not told}: {denied:time}, last {last_denied}, by {denial_reason|a reason that is not told}[ ({denial_effect})][, as {noise_class} does in every account][; {changed_by} called {key_change_between} {changed_at}][; allowed since {first_success_after}].
-- description: Refusals by principal, action and key; the principal's first success at the same after the last of them; and the last change of policies, grants, IAM or Organizations between the two that may have let it in, as in `access_chains`.
SELECT principal, event_name, key_arn, requested_alias, denied_resource, denial_reason, denial_effect, noise_class,
       count(*) AS denied, min(event_time) AS first_denied, max(event_time) AS last_denied,
       last_value(change_event_name ORDER BY event_time, event_id) AS key_change_between,
       last_value(changed_by ORDER BY event_time, event_id) AS changed_by,
       last_value(changed_at ORDER BY event_time, event_id) AS changed_at,
       last_value(first_success_after ORDER BY event_time, event_id) AS first_success_after
FROM (
    SELECT d.*, c.change_event_name, c.changed_by, c.changed_at
    -- A success ends one run at most of each principal, key and operation.
    FROM (SELECT allowed_event_id, key_arn, operation, change_event_name, changed_by, changed_at FROM access_chains) c
    RIGHT JOIN (
        SELECT principal, event_name, coalesce(key_arn, source_key_arn) AS key_arn, denial_reason, denial_effect, noise_class,
               event_time, event_id, first_success_after, first_success_event_id,
               -- All that is known of the key where the record does not name it, or what was refused beside the key.
               CASE WHEN coalesce(key_arn, source_key_arn) IS NULL OR denied_resource = alias_arn
                   THEN coalesce(alias_arn, requested_alias) END AS requested_alias,
               nullif(nullif(denied_resource, coalesce(key_arn, source_key_arn)), coalesce(alias_arn, requested_alias))
                   AS denied_resource,
               -- What KMS was asked for: another service's own record of a refusal only names the action.
               CASE WHEN operation_class IS NOT NULL THEN event_name ELSE split_part(denied_action, ':', 2) END AS operation
        FROM denials) d
    ON c.allowed_event_id = d.first_success_event_id AND c.key_arn = d.key_arn AND c.operation = d.operation)
GROUP BY principal, event_name, key_arn, requested_alias, denied_resource, denial_reason, denial_effect, noise_class, operation
ORDER BY denied DESC, principal, event_name, key_arn, requested_alias, denied_resource, denial_reason, denial_effect, operation
