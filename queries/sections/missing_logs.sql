-- title: The logs that digests name and that are not whole here, and the digests that say nothing
-- description: No part of the screen: said where an account and Region is expected.
SELECT account_id, region, coalesce(log, digest) AS log, presence
FROM missing_logs
ORDER BY account_id, region, presence = 'digest_unreadable', log
