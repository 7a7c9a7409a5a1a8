-- title: The principals that records name
-- description: No part of the screen: it tells which names there are.
SELECT DISTINCT principal
FROM events
