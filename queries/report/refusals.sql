-- title: Who was refused
-- none: No refusal was seen in what was read.
-- rest: keytrail query denials-explained
-- narrows: denials
SELECT principal, event_name, key_arn, asked_for, denial_reason, denial_effect, noise_class, count(*) AS refused,
       min(event_time) AS first_refused, max(event_time) AS last_refused,
       last_value(first_success_after ORDER BY event_time, event_id) AS let_in_since,
       last_value(table_name ORDER BY event_time, event_id) AS table_name, count(*) OVER () AS of_all,
       sum(count(*)) OVER () AS refused_in_all
FROM (
    SELECT principal, event_name, coalesce(key_arn, source_key_arn) AS key_arn,
           CASE WHEN coalesce(key_arn, source_key_arn) IS NULL
                THEN coalesce(alias_arn, requested_alias, denied_resource) END AS asked_for,
           denial_reason, denial_effect, noise_class, event_time, event_id, first_success_after, table_name
    FROM denials)
GROUP BY principal, event_name, key_arn, asked_for, denial_reason, denial_effect, noise_class
ORDER BY noise_class IS NOT NULL, refused DESC, principal, event_name, key_arn, asked_for, denial_reason, denial_effect
LIMIT 60
