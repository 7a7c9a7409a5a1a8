-- KMS calls that use a key, one row for each key they concern.
SELECT * FROM key_calls WHERE operation_class = 'crypto'
