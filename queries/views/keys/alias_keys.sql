-- title: Which key each alias was seen to name
-- row: alias × key
-- description: From calls that sent the alias; a change of an alias that failed names none.
-- column: alias : `alias/NAME`
-- column: key_arn : a key that the alias was seen to name
SELECT DISTINCT substr(alias_arn, strpos(alias_arn, 'alias/')) AS alias, alias_arn, key_arn
FROM key_calls
WHERE alias_arn IS NOT NULL AND key_arn IS NOT NULL
  AND (outcome = 'success' OR event_name NOT IN ('CreateAlias', 'UpdateAlias'))
