-- The keys that each alias was seen to name.
SELECT DISTINCT requested_alias AS alias, key_arn
FROM key_calls
WHERE requested_alias IS NOT NULL AND key_arn IS NOT NULL
ORDER BY alias, key_arn
