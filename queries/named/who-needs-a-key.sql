-- title: Who and what would notice the loss of a key
-- description: To read before a key is disabled or deleted: the principals, tables, services and resources that used it with success, and its open grants. What is encrypted under the key and was not touched in these logs would be lost as well, and nothing here tells of it.
-- param: key key : ARN or id of the key, ARN or alias/NAME of an alias
SELECT key_arn, kind, dependent, calls, first_seen, last_seen
FROM key_dependents
WHERE names_key(CAST($key AS VARCHAR), key_arn, NULL)
   OR key_arn IN (SELECT key_arn FROM alias_keys WHERE names_key(CAST($key AS VARCHAR), NULL, alias_arn))
ORDER BY key_arn, kind, dependent
