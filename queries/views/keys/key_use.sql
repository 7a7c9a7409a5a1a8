-- title: Successful uses of a key
-- row: KMS call of class `crypto` that succeeded × key that it concerns
SELECT * FROM key_attempts WHERE outcome = 'success'
