-- title: The life of a principal
-- none: Nothing of this interval tells of the principal.
-- description: Its uses of keys and its refusals by key and day, the changes that it made and those that were made to it, who got in after a refusal, and its sessions.
SELECT at, until, what, who, detail, key_arn, table_name, event_id
FROM (
    SELECT min(event_time) AS at, max(event_time) AS until, 'use' AS what, principal AS who,
           concat(count(*), ' × ', event_name, CASE WHEN via_service IS NOT NULL THEN concat(' through ', via_service) ELSE '' END) AS detail,
           key_arn, table_name, min(event_id) AS event_id
    FROM key_use
    WHERE principal = $subject
    GROUP BY principal, event_name, via_service, key_arn, table_name, event_date)
ORDER BY at NULLS FIRST, what, who, detail, event_id
