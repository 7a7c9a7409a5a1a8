-- Successful uses of a key.
SELECT * FROM key_attempts WHERE outcome = 'success'
