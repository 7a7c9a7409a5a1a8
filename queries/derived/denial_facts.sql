-- title: Facts about each refused call that other records tell
-- row: refused call of `refusals`
-- description: The columns of `denials` beyond those of `events`, and more that `access_chains` starts from.
-- column: event_id : the id of the refused call
-- column: event_time : its time
-- column: principal : who was refused
-- column: operation : the operation of KMS that was refused, NULL where a service's own record names none
-- column: action : the action that the message names, as `kms:Decrypt`, NULL where it names none
-- column: key_arn : the key, NULL where no record names it
-- column: key_by_table : for a refusal that names no key, the one key of the table that DynamoDB's own record names
-- column: key_by_alias : for a refusal that names an alias and no key, the one key that the alias named then
-- column: denial_reason : as in `events`
-- column: denial_effect : as in `events`
-- column: denial_policy_arn : as in `events`
-- column: account_id : the account whose log has the refusal
-- column: region : the Region of the refusal
-- column: candidate_tables : as in `denials`
-- column: table_certainty : as in `denials`
-- column: nearest_change_event_id : as in `denials`
-- column: nearest_change : as in `denials`
-- column: nearest_changed_at : as in `denials`
-- column: nearest_changed_by : as in `denials`
-- column: first_success_after : the principal's first success in a later second at the same operation on `key_arn`, else on `key_by_alias` or `key_by_table`; of a ReEncrypt at the refused side where the refusal tells it
-- column: first_success_event_id : the id of that success
-- column: success_table_arn : the table that it concerned
-- column: success_table_name : the name of that table
-- column: success_via_service : the service through which it came
-- column: success_account_id : the account of its caller
-- column: success_principal_id : the principal id of its caller
-- column: success_session_created : the start of its caller's session
-- column: success_on_behalf_of : the Identity Center user on whose behalf that call says it was made
-- column: success_vpc_endpoint_id : the endpoint that it came through
-- column: noise_class : as in `denials`
-- column: noise_evidence : as in `denials`
-- column: echo_event_ids : as in `denials`
-- column: echo_basis : as in `denials`
SELECT 'refusal' AS kind, event_id, event_time, principal,
       CASE WHEN operation_class IS NOT NULL THEN event_name
            WHEN denied_action IN ('kms:ReEncryptFrom', 'kms:ReEncryptTo') THEN 'ReEncrypt'
            WHEN starts_with(denied_action, 'kms:') THEN split_part(denied_action, ':', 2) END AS operation,
       CASE WHEN starts_with(denied_action, 'kms:') THEN denied_action END AS action,
       CASE WHEN denied_action = 'kms:ReEncryptFrom' THEN coalesce(source_key_arn, key_arn)
            ELSE coalesce(key_arn, source_key_arn) END AS key_arn,
       alias_arn,
       CASE denied_action WHEN 'kms:ReEncryptFrom' THEN 'source' WHEN 'kms:ReEncryptTo' THEN 'destination' END AS key_role,
       denial_reason, denial_effect, denial_policy_arn, recipient_account_id AS account_id, aws_region AS region, principal_arn,
       via_service, via_source,
       -- A service's own record that stands alone names its table itself.
       CASE WHEN event_source = 'dynamodb.amazonaws.com' THEN coalesce(table_arn, table_name) END AS table_arn,
       NULL AS table_name, NULL AS principal_id, NULL AS session_created, NULL AS vpc_endpoint_id,
       NULL AS other_event_id, NULL AS target, NULL AS valid_to, NULL AS on_behalf_of
FROM refusals
WHERE in_interval(event_time)
UNION ALL
SELECT 'echo', kms_event_id, NULL, NULL, how, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, table_arn,
       NULL, NULL, NULL, NULL, event_id, NULL, NULL, NULL
FROM error_echoes
WHERE outcome = 'denied'
UNION ALL
SELECT 'success', k.event_id, k.event_time, k.principal, k.event_name, NULL, k.key_arn, NULL, k.key_role, NULL, NULL, NULL, k.principal_account_id, NULL,
       NULL, k.via_service, NULL, CASE WHEN k.via_service = 'dynamodb' THEN k.table_arn END,
       CASE WHEN k.via_service = 'dynamodb' THEN k.table_name END, k.principal_id, k.session_created, k.vpc_endpoint_id, NULL, NULL, NULL,
       k.on_behalf_of
FROM (
    -- Only who was refused an operation needs its successes.
    SELECT DISTINCT principal,
           CASE WHEN operation_class IS NOT NULL THEN event_name
                WHEN denied_action IN ('kms:ReEncryptFrom', 'kms:ReEncryptTo') THEN 'ReEncrypt'
                ELSE split_part(denied_action, ':', 2) END AS operation
    FROM events
    WHERE outcome = 'denied' AND (operation_class IS NOT NULL OR starts_with(denied_action, 'kms:'))) r
RIGHT SEMI JOIN (
    SELECT *
    FROM key_calls
    WHERE outcome = 'success' AND operation_class IS NOT NULL AND key_arn IS NOT NULL AND in_interval(event_time)) k
ON r.principal = k.principal AND r.operation = k.event_name
UNION ALL
SELECT 'change', event_id, event_time, principal, event_name, NULL, key_arn, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL,
       -- Who is changed, in the form of an ARN; requests of IAM name users and roles of their own account.
       CASE WHEN event_source = 'iam.amazonaws.com'
           THEN 'arn:aws:iam::' || recipient_account_id || ':'
                || coalesce('role/' || json_get_str(request_parameters, 'roleName'),
                            'user/' || json_get_str(request_parameters, 'userName')) END, NULL, NULL
FROM calls
WHERE outcome = 'success'
  AND (event_source = 'kms.amazonaws.com'
           AND event_name IN ('CancelKeyDeletion', 'CreateGrant', 'CreateKey', 'DeleteExpiredKeyMaterial',
                              'DeleteImportedKeyMaterial', 'DeleteKey', 'DisableKey', 'EnableKey', 'ImportKeyMaterial',
                              'PutKeyPolicy', 'ReplicateKey', 'RetireGrant', 'RevokeGrant', 'ScheduleKeyDeletion')
       OR event_source = 'iam.amazonaws.com'
           AND event_name IN ('AddUserToGroup', 'AttachRolePolicy', 'AttachUserPolicy', 'CreateRole', 'CreateUser',
                              'DeleteRole', 'DeleteRolePermissionsBoundary', 'DeleteRolePolicy', 'DeleteUser',
                              'DeleteUserPermissionsBoundary', 'DeleteUserPolicy', 'DetachRolePolicy',
                              'DetachUserPolicy', 'PutRolePermissionsBoundary', 'PutRolePolicy',
                              'PutUserPermissionsBoundary', 'PutUserPolicy', 'RemoveUserFromGroup',
                              'UpdateAssumeRolePolicy'))
UNION ALL
SELECT 'table', NULL, valid_from, NULL, NULL, NULL, key_arn, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, table_arn,
       NULL, NULL, NULL, NULL, NULL, NULL, valid_to, NULL
FROM table_keys
WHERE key_arn IS NOT NULL
UNION ALL
SELECT 'alias', NULL, valid_from, NULL, NULL, NULL, key_arn, alias_arn, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL, NULL, valid_to, NULL
FROM key_aliases
WHERE key_arn IS NOT NULL
