-- Which key each alias was seen to name, by calls that sent it; a change of an alias that failed names none.
SELECT DISTINCT substr(alias_arn, strpos(alias_arn, 'alias/')) AS alias, alias_arn, key_arn
FROM key_calls
WHERE alias_arn IS NOT NULL AND key_arn IS NOT NULL
  AND (outcome = 'success' OR event_name NOT IN ('CreateAlias', 'UpdateAlias'))
