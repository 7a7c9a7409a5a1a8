-- title: The grants of each key, from creation to end
-- row: grant
-- description: From CreateGrant, RetireGrant, RevokeGrant and the deletion of the key, where they succeeded. A grant that was asked for twice under one name is one row. What a grant allows is from its creation; of a grant whose creation was not seen, what its end does not say is NULL.
-- column: grantee_principal : who may use the key by it: the ARN of a user, role, session or account, or a service such as `dynamodb.us-east-1.amazonaws.com`
-- column: retiring_principal : who may retire it
-- column: operations : the operations that it allows
-- column: constraint_kind : `subset` where the encryption context must have the pairs of `constraint_context`, `equals` where it must be them, NULL without a constraint
-- column: constraint_context : the encryption context that it is bound to
-- column: resource_service : the service of the resource that this context names
-- column: resource_arn : that resource, or the one that its constraint names by `sourceArn`
-- column: table_name : the DynamoDB table that this context names
-- column: created_at : when it was created; NULL where that was not seen
-- column: created_by : the principal that created it
-- column: created_via : the service through which it was created, by its short name; NULL where directly
-- column: ended_at : when it ended
-- column: ended_by : the principal that ended it; NULL if it ended with its key
-- column: end_kind : `retired`, `revoked`, or `key_deleted`
-- column: state : `open` where no end was seen, `ended`, or `start_not_seen`
-- column: create_event_id : the event that created it
-- column: end_event_id : the event that ended it
-- column: last_possible_use : the last successful call of the grantee within its life whose operation and context fit; the grant may have allowed it, and so may a policy. Both ends of the life belong to it. NULL where none was seen, and where the caller is known by an id alone
SELECT key_arn, event_time, event_id, event_name AS operation, true AS is_change, principal, via_service, grant_id,
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
-- The calls of those who were granted something on that key. A subset of a use is the context that it had.
SELECT u.key_arn, u.event_time, NULL, u.operation, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, NULL,
       json_get_list('', ''), u.encryption_context, json_get_map('', ''),
       make_array(CASE WHEN u.caller = 'service' THEN u.principal ELSE u.caller END)
FROM (
    SELECT DISTINCT key_arn, CASE WHEN grantee_principal LIKE 'arn:%:iam::%:root'
                                  THEN 'account:' || split_part(grantee_principal, ':', 5)
                                  WHEN grantee_principal LIKE '%.amazonaws.com%' THEN 'service'
                                  ELSE grantee_principal END AS caller
    FROM events
    WHERE event_source = 'kms.amazonaws.com' AND event_name = 'CreateGrant' AND outcome = 'success'
      AND key_arn IS NOT NULL AND grantee_principal IS NOT NULL) g
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
