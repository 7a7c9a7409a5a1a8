-- title: The tables that records name
-- description: No part of the screen: it tells which names there are.
SELECT DISTINCT table_name, table_arn
FROM events
WHERE table_name IS NOT NULL
