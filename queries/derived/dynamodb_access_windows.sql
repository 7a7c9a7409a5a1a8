-- title: When each principal reached a table through DynamoDB
-- row: principal × table × key × window
-- description: DynamoDB keeps a table's key for a caller for about five minutes before it asks KMS again. A new window begins when more than 360 seconds passed since the last use of the key for that principal and table; under steady traffic 304 to 332 seconds were seen between two. A principal is a role, not its sessions, or DynamoDB itself. Uses are those of the interval. Uses without a time are in one row without times.
-- column: started : the first use of the key in the window
-- column: ended : the last use of the key in the window
-- column: open_until : 300 seconds after `ended`, since DynamoDB keeps the key: accesses until then need no further use
-- column: key_calls : successful uses of the key, a lower bound of accesses, reads or writes; of a ReEncrypt from a key to itself one
-- column: carried_in : whether the window began before the interval, NULL where it may have: it begins in the first 360 seconds, and what lies before was not read
SELECT principal, table_arn, table_name, key_arn, event_time
FROM dynamodb_key_use
-- A window that began earlier shows in the last 360 seconds before the interval.
WHERE (in_interval(event_time) OR in_interval(event_time + INTERVAL '360 seconds'))
  -- A ReEncrypt from a key to itself is one use of it.
  AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE
