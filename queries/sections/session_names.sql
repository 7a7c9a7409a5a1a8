-- title: The sessions that records name
-- description: No part of the screen: it tells which names there are.
SELECT DISTINCT session_name, session_arn
FROM events
WHERE session_name IS NOT NULL
