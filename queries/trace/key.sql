-- title: The life of a key
-- none: Nothing of this interval tells of the key.
-- description: States, policies, aliases, grants, rotations and tables as periods; uses and refusals by principal and day; who got in after a refusal; and the hours of which the log says nothing.
SELECT at, until, what, who, detail, key_arn, table_name, event_id
FROM (
    SELECT event_time AS at, CAST(NULL AS TIMESTAMP) AS until, 'change' AS what, changed_by AS who,
           CASE outcome WHEN 'success' THEN change ELSE concat(change, ' failed: ', coalesce(error_code, outcome)) END AS detail,
           key_arn, table_name, event_id
    FROM key_changes
    WHERE key_arn = $subject
    UNION ALL
    SELECT min(event_time), max(event_time), 'use', principal,
           concat(count(*), ' × ', event_name, CASE WHEN via_service IS NOT NULL THEN concat(' through ', via_service) ELSE '' END),
           key_arn, table_name, min(event_id)
    FROM key_use
    WHERE key_arn = $subject
    GROUP BY principal, event_name, via_service, key_arn, table_name, event_date
    UNION ALL
    SELECT min(event_time), max(event_time), 'refused', principal,
           concat(count(*), ' × ', coalesce(split_part(denied_action, ':', 2), event_name), ' by ', coalesce(denial_reason, 'unspecified')),
           key_arn, NULL, min(event_id)
    FROM denials
    WHERE key_arn = $subject
    GROUP BY principal, coalesce(split_part(denied_action, ':', 2), event_name), denial_reason, key_arn, event_date)
ORDER BY at NULLS FIRST, what, who, detail, event_id
