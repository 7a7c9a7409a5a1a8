-- title: The accounts, Regions and times of the events
-- none: No event was kept.
-- rest: keytrail query "SELECT recipient_account_id, aws_region, count(*) FROM events GROUP BY 1, 2"
SELECT account_id, region, min(event_time) AS first_event, max(event_time) AS last_event, count(*) AS events
FROM (
    SELECT event_time, coalesce(aws_region, key_region) AS region,
           coalesce(recipient_account_id, CASE WHEN principal_account_id = key_account_id THEN key_account_id END) AS account_id
    FROM events)
GROUP BY account_id, region
ORDER BY events DESC, account_id, region
