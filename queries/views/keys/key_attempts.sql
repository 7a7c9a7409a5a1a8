-- title: KMS calls that use a key or tried to
-- row: KMS call of class `crypto` × key that it concerns
-- description: A call whose key is not known has one row without a key.
SELECT * FROM key_calls WHERE operation_class = 'crypto'
