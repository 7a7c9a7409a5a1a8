-- Successful uses of a key through DynamoDB.
SELECT * FROM dynamodb_key_attempts WHERE outcome = 'success'
