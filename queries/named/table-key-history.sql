-- title: Which key protected which table when
-- description: `key_use_logged` is false while a table is under a key that AWS owns: CloudTrail tells nothing of its use, and only DynamoDB's data events tell who reached the table. It is NULL where the key is not known. A begin that is NULL was not seen: the table had the key at `first_in_scope`.
-- param: table table : name or ARN of a table
-- param: key key : ARN or id of the key, ARN or alias/NAME of an alias
SELECT table_name, table_arn, key_kind, key_arn,
       CASE WHEN key_kind = 'aws_owned' THEN false WHEN key_arn IS NOT NULL THEN true END AS key_use_logged, valid_from,
       valid_to, set_by, basis, first_in_scope, set_event_id
FROM table_keys
WHERE names_table(CAST($table AS VARCHAR), table_name, table_arn)
  AND (names_key(CAST($key AS VARCHAR), key_arn, NULL)
       OR key_arn IN (SELECT key_arn FROM alias_keys WHERE names_key(CAST($key AS VARCHAR), NULL, alias_arn)))
ORDER BY table_arn, table_name, coalesce(valid_from, first_in_scope), key_arn, first_in_scope, set_event_id
