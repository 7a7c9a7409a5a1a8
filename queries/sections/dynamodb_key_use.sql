-- title: Through DynamoDB
-- none: No use of a key through DynamoDB was seen in what was read.
-- place: 2
SELECT principal, table_arn, table_name, key_arn, calls, windows, denied_on_key, first_seen, last_seen
FROM dynamodb_key_use_by_principal
ORDER BY calls DESC, principal, table_arn, table_name, key_arn
