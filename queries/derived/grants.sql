-- title: The grants of each key, from creation to end
-- row: grant
-- description: From CreateGrant, RetireGrant, RevokeGrant and the deletion of the key, where they succeeded. A grant that was asked for twice under one name is one row. What a grant allows is from its creation; of a grant whose creation was not seen, what its end does not say is NULL. A grant of an answer to ListGrants that was given with `--state` is here too; what an answer does not list is not said to be gone.
-- column: grantee_principal : who may use the key by it: the ARN of a user, role, session or account, or a service such as `dynamodb.us-east-1.amazonaws.com`
-- column: retiring_principal : who may retire it
-- column: operations : the operations that it allows
-- column: constraint_kind : `subset` where the encryption context must have the pairs of `constraint_context`, `equals` where it must be them, NULL without a constraint
-- column: constraint_context : the encryption context that it is bound to
-- column: resource_service : the service of the resource that this context names
-- column: resource_arn : that resource, or the one that its constraint names by `sourceArn`
-- column: table_name : the DynamoDB table that this context names
-- column: created_at : when it was created; NULL where that was not seen
-- column: created_by : the principal that created it, NULL where only an answer tells of it
-- column: created_via : the service through which it was created, by its short name; NULL where directly
-- column: ended_at : when it ended
-- column: ended_by : the principal that ended it; NULL if it ended with its key
-- column: end_kind : `retired`, `revoked`, or `key_deleted`
-- column: state : `open` where no end was seen, `ended`, or `start_not_seen`
-- column: create_event_id : the event that created it, NULL where only an answer tells of it
-- column: end_event_id : the event that ended it
-- column: last_possible_use : the last successful call of the grantee within its life whose operation and context fit; the grant may have allowed it, and so may a policy. Both ends of the life belong to it. NULL where none was seen, and where the caller is known by an id alone
SELECT key_arn, event_time, NULL AS told_at, event_id, event_name AS operation, true AS is_change, principal, via_service, grant_id,
       grantee_principal, resource_service, resource_arn, table_name,
       coalesce(json_get_str(request_parameters, 'retiringPrincipal'),
                json_get_str(request_parameters, 'retiringServicePrincipal')) AS retiring_principal,
       json_get_str(request_parameters, 'name') IS NOT NULL AS is_named,
       json_get_str(request_parameters, 'constraints', 'sourceArn') AS source_arn,
       json_get_list(request_parameters, 'operations') AS operations,
       json_get_map(request_parameters, 'constraints', 'encryptionContextSubset') AS subset,
       json_get_map(request_parameters, 'constraints', 'encryptionContextEquals') AS equals,
       make_array(principal, session_arn, 'account:' || principal_account_id) AS callers
FROM key_calls
WHERE operation_class IN ('grant', 'lifecycle') AND outcome = 'success' AND key_arn IS NOT NULL
  AND event_name IN ('CreateGrant', 'RetireGrant', 'RevokeGrant', 'DeleteKey')
UNION ALL
-- An answer to `aws kms list-grants` tells the grants of its time.
SELECT subject, at, told_at, NULL, 'told', true, NULL, NULL, json_get_str(body, 'GrantId'),
       coalesce(json_get_str(body, 'GranteePrincipal'), json_get_str(body, 'GranteeServicePrincipal')),
       CASE WHEN table_name IS NOT NULL THEN 'dynamodb' END,
       CASE WHEN table_name IS NOT NULL
           THEN concat('arn:', split_part(subject, ':', 2), ':dynamodb:', split_part(subject, ':', 4), ':', subscriber,
                       ':table/', table_name) END,
       table_name, coalesce(json_get_str(body, 'RetiringPrincipal'), json_get_str(body, 'RetiringServicePrincipal')), false,
       json_get_str(body, 'Constraints', 'SourceArn'), json_get_list(body, 'Operations'),
       json_get_map(body, 'Constraints', 'EncryptionContextSubset'), json_get_map(body, 'Constraints', 'EncryptionContextEquals'),
       json_get_list('', '')
FROM (
    SELECT *, json_get_str(body, 'Constraints', 'EncryptionContextSubset', 'aws:dynamodb:subscriberId') AS subscriber,
           CASE WHEN json_get_str(body, 'Constraints', 'EncryptionContextSubset', 'aws:dynamodb:subscriberId') IS NOT NULL
               THEN json_get_str(body, 'Constraints', 'EncryptionContextSubset', 'aws:dynamodb:tableName') END AS table_name
    FROM state_answers
    WHERE kind = 'list-grants' AND subject LIKE 'arn:%:key/%')
UNION ALL
-- The calls of those who were granted something on that key. A subset of a use is the context that it had.
SELECT u.key_arn, u.event_time, NULL, NULL, u.operation, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, NULL,
       json_get_list('', ''), u.encryption_context, json_get_map('', ''),
       make_array(CASE WHEN u.caller = 'service' THEN u.principal ELSE u.caller END)
FROM (
    SELECT DISTINCT key_arn, CASE WHEN grantee_principal LIKE 'arn:%:iam::%:root'
                                  THEN 'account:' || split_part(grantee_principal, ':', 5)
                                  WHEN grantee_principal LIKE '%.amazonaws.com%' AND grantee_principal NOT LIKE 'arn:%' THEN 'service'
                                  ELSE grantee_principal END AS caller
    FROM (
        SELECT key_arn, grantee_principal
        FROM events
        WHERE event_source = 'kms.amazonaws.com' AND event_name = 'CreateGrant' AND outcome = 'success'
          AND key_arn IS NOT NULL AND grantee_principal IS NOT NULL
        UNION ALL
        SELECT subject, coalesce(json_get_str(body, 'GranteePrincipal'), json_get_str(body, 'GranteeServicePrincipal'))
        FROM state_answers
        WHERE kind = 'list-grants' AND subject LIKE 'arn:%:key/%')) g
RIGHT SEMI JOIN (
    SELECT key_arn, event_time, principal, encryption_context,
           CASE WHEN event_name <> 'ReEncrypt' THEN event_name
                WHEN key_role = 'source' THEN 'ReEncryptFrom' ELSE 'ReEncryptTo' END AS operation,
           unnest(make_array(CASE WHEN starts_with(principal, 'service:') THEN 'service' ELSE principal END,
                             session_arn, 'account:' || principal_account_id)) AS caller
    FROM key_calls
    WHERE operation_class IN ('crypto', 'read') AND outcome = 'success' AND key_arn IS NOT NULL
      AND (operation_class = 'crypto' OR event_name IN ('DescribeKey', 'GetPublicKey'))) u
ON g.key_arn = u.key_arn AND g.caller = u.caller
