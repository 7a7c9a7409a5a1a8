-- title: The accounts, Regions and times of the events
-- description: No part of the screen: over a store it tells what is there.
SELECT account_id, region, min(event_time) AS first_event, max(event_time) AS last_event
FROM (
    SELECT event_time, coalesce(aws_region, key_region) AS region,
           coalesce(recipient_account_id, CASE WHEN principal_account_id = key_account_id THEN key_account_id END) AS account_id
    FROM events)
GROUP BY account_id, region
