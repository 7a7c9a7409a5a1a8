-- title: When each principal reached a table through DynamoDB
-- description: DynamoDB asks KMS for a table's key about every five minutes while it is in use and keeps it between: a window is a row of such calls. Within it the table was reached at each of `key_calls`, and any number of times until `open_until`; reads or writes, only DynamoDB's data events tell.
-- param: table table : name or ARN of a table
-- param: principal principal : ARN, role/NAME, user/NAME or NAME
SELECT principal, table_name, table_arn, key_arn, started, ended, open_until, key_calls, carried_in
FROM dynamodb_access_windows
WHERE names_table(CAST($table AS VARCHAR), table_name, table_arn)
  AND names_principal(CAST($principal AS VARCHAR), principal)
ORDER BY started, principal, table_arn, table_name, key_arn
