-- title: Uses and attempted uses of a key through DynamoDB
-- row: call of `key_attempts` that came through DynamoDB, for a principal or for DynamoDB itself, × key that it concerns
SELECT * FROM key_attempts WHERE via_service = 'dynamodb'
