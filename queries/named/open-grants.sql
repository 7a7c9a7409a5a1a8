-- title: Grants whose end was not seen
-- description: What each allows to whom, and the last use that it may have allowed: AWS does not log which grant or policy allowed a call. Grants from before the logs are not here, and an end that was not logged here leaves a grant open. `aws kms list-grants` tells which exist now.
-- param: key key : ARN or id of the key, ARN or alias/NAME of an alias
SELECT created_at, key_arn, grantee_principal, operations, constraint_kind, constraint_context, created_by, created_via,
       last_possible_use, grant_id, create_event_id
FROM grants
WHERE state = 'open'
  AND (names_key(CAST($key AS VARCHAR), key_arn, NULL)
       OR key_arn IN (SELECT key_arn FROM key_aliases WHERE names_key(CAST($key AS VARCHAR), NULL, alias_arn)))
ORDER BY created_at, key_arn, grant_id, create_event_id
