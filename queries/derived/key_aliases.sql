-- title: The key that each alias named, and when
-- row: alias × key × period
-- description: From changes of aliases that succeeded, and from calls that sent an alias where its key is told. A call proves that the alias named the key, not since when: of what only calls prove, `valid_from` is NULL, and `valid_to` the next change of the alias. KMS deletes the aliases of a key with it. Two keys whose periods have no end contradict each other: a change is not in the logs.
-- column: alias_arn : the ARN of the alias
-- column: key_arn : the key that it named, NULL where only its deletion was seen and does not tell
-- column: valid_from : the change that made it name the key, NULL where none was seen
-- column: valid_to : the next change of the alias or the deletion of the key, NULL where none was seen
-- column: set_by : the principal of the change that made it name the key
-- column: set_event_id : the event of that change
SELECT alias_arn, key_arn, event_time, event_id, principal,
       CASE WHEN event_name IN ('CreateAlias', 'UpdateAlias', 'DeleteAlias', 'DeleteKey') THEN event_name END AS alias_change
FROM key_calls
WHERE operation_class IS NOT NULL
  AND (alias_arn IS NOT NULL AND outcome = 'success' AND event_name IN ('CreateAlias', 'UpdateAlias', 'DeleteAlias')
       OR alias_arn IS NOT NULL AND key_arn IS NOT NULL AND event_name NOT IN ('CreateAlias', 'UpdateAlias', 'DeleteAlias', 'DeleteKey')
       OR key_arn IS NOT NULL AND outcome = 'success' AND event_name = 'DeleteKey')
