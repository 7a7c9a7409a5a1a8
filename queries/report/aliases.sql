-- title: The aliases that name one key
-- none: No alias was seen.
-- rest: keytrail query "SELECT * FROM key_aliases"
SELECT alias_arn, max(key_arn) AS key_arn
FROM key_aliases
WHERE key_arn IS NOT NULL
GROUP BY alias_arn
HAVING count(DISTINCT key_arn) = 1
ORDER BY alias_arn
LIMIT 2000
