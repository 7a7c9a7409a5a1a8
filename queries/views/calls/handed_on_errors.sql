-- title: Errors of KMS in other services' own records
-- row: call of another service that failed because of KMS, with any outcome but `success`
-- description: Where KMS logged the same error, `failures` has the call once, as KMS logged it.
SELECT * FROM kms_errors WHERE operation_class IS NULL
