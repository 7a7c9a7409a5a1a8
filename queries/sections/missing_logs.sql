-- title: The logs that digests name and that are not whole here
-- description: No part of the screen: said where an account and Region is expected.
SELECT account_id, region, log, presence
FROM missing_logs
ORDER BY account_id, region, log
