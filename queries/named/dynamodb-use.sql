-- title: DynamoDB use of keys per principal and table
-- description: Who used which key through DynamoDB on which table. Windows are the rows in `dynamodb_access_windows`: DynamoDB caches a table's key, so calls are a lower bound of accesses, reads or writes.
-- param: table table : name or ARN of a table
SELECT principal, table_arn, table_name, key_arn, calls, windows, first_seen, last_seen, denied_on_key
FROM dynamodb_key_use_by_principal
WHERE names_table(CAST($table AS VARCHAR), table_name, table_arn)
ORDER BY principal, table_arn, table_name, key_arn
