-- title: The life of a table
-- none: Nothing of this interval tells of the table.
-- description: The keys that protected it as periods, use of these keys through DynamoDB and DynamoDB's own records by principal and day.
SELECT at, until, what, who, detail, key_arn, table_name, event_id
FROM (
    SELECT min(event_time) AS at, max(event_time) AS until, 'use' AS what, principal AS who,
           concat(count(*), ' × ', event_name, CASE WHEN via_service IS NOT NULL THEN concat(' through ', via_service) ELSE '' END) AS detail,
           key_arn, table_name, min(event_id) AS event_id
    FROM dynamodb_key_use
    WHERE table_arn = $subject
    GROUP BY principal, event_name, via_service, key_arn, table_name, event_date)
ORDER BY at NULLS FIRST, what, who, detail, event_id
