-- title: The keys and aliases that records name
-- description: No part of the screen: it tells which names there are.
SELECT DISTINCT key_arn, coalesce(alias_arn, requested_alias) AS alias_arn
FROM key_calls
WHERE key_arn IS NOT NULL OR requested_alias IS NOT NULL
