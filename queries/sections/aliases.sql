-- title: The keys that each alias was seen to name
-- description: No part of the screen: it tells which keys are meant by an alias.
SELECT alias_arn, key_arn
FROM alias_keys
ORDER BY alias_arn, key_arn
