-- title: The records that rules look at, by what rules need
-- none: No record was kept.
-- rest: keytrail query "SELECT event_source, read_only, count(*) FROM events GROUP BY 1, 2"
SELECT need, count(*) AS events
FROM (
    SELECT CASE event_source WHEN 'dynamodb.amazonaws.com' THEN 'dynamodb'
                             WHEN 'iam.amazonaws.com' THEN 'iam'
                             WHEN 'sts.amazonaws.com' THEN 'sts'
                             WHEN 'organizations.amazonaws.com' THEN 'organizations'
                             WHEN 'cloudtrail.amazonaws.com' THEN 'cloudtrail'
                             WHEN 'kms.amazonaws.com' THEN CASE WHEN read_only THEN 'kms_reads' ELSE 'kms_writes' END
                             ELSE 'other' END AS need
    FROM events)
GROUP BY need
ORDER BY need
