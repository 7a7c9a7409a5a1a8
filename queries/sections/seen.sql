-- title: The accounts, Regions and times of the events
-- description: No part of the screen: over a store it tells what is there.
SELECT recipient_account_id, aws_region, min(event_time) AS first_event, max(event_time) AS last_event
FROM events
GROUP BY recipient_account_id, aws_region
