-- title: Successful uses of a key through DynamoDB
-- row: call of `key_use` that came through DynamoDB, for a principal or for DynamoDB itself, × key that it concerns
SELECT * FROM dynamodb_key_attempts WHERE outcome = 'success'
