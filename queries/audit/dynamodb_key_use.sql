SELECT principal, table_arn, table_name, key_arn, calls, windows, denied_on_key, first_seen, last_seen
FROM dynamodb_key_use_by_principal
ORDER BY calls DESC, principal, table_arn, table_name, key_arn
