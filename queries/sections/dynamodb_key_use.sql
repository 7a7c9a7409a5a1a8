-- title: Through DynamoDB
-- none: No use of a key through DynamoDB was seen in what was read.
-- place: 2
-- sentence: {principal} reached {table_arn|table_name|a table that is not told} under {key_arn|a key that is not told}: {calls:call} in {windows:window}, {first_seen..last_seen}[; by whatever route, the key was refused to it {denied_on_key:time}].
SELECT principal, table_arn, table_name, key_arn, calls, windows, denied_on_key, first_seen, last_seen
FROM dynamodb_key_use_by_principal
ORDER BY calls DESC, principal, table_arn, table_name, key_arn
