-- Uses and attempted uses of a key through DynamoDB, for a principal or for DynamoDB itself.
SELECT * FROM key_attempts WHERE via_service = 'dynamodb'
