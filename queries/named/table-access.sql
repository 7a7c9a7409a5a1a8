-- title: Who did what with a table, day by day
-- description: From DynamoDB's own records, and from the uses of the table's key that none of them explains (`kms:` and the operation of KMS). `evidence` says what tells of the calls; `orphan` which of the two sides is lacking, and `orphan_reason` why that is likely. Uses of a key are a lower bound of accesses, reads or writes.
-- param: table table : name or ARN of a table
-- param: principal principal : ARN, role/NAME, user/NAME or NAME
SELECT table_name, table_arn, day, principal, operation, calls, denied, evidence, orphan, orphan_reason
FROM table_access
WHERE names_table(CAST($table AS VARCHAR), table_name, table_arn)
  AND names_principal(CAST($principal AS VARCHAR), principal)
ORDER BY table_arn, table_name, day, principal, operation, evidence
