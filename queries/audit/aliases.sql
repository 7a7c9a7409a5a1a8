-- The keys that each alias was seen to name.
SELECT alias_arn, key_arn
FROM alias_keys
ORDER BY alias_arn, key_arn
