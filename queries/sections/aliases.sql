-- title: The keys that each alias named
-- description: No part of the screen: it tells which keys are meant by an alias, also by one that named its key before the interval.
SELECT DISTINCT alias_arn, key_arn
FROM key_aliases
WHERE key_arn IS NOT NULL
ORDER BY alias_arn, key_arn
