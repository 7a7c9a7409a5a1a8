-- title: Who was refused the use of a key, what changed, and the success that followed
-- row: run of refusals of a principal on a key at one operation without a success since, ended by a success
-- description: Uses of keys only. A chain is a sequence, never a cause: the named change is one that could have let the principal in and still stood at the success. `shown` says that the sequence is complete in the logs and that nothing in them speaks against it, `possible` that something of it is not told, `unexplained` that no change which could be read explains it. The first known policy of a principal or key is new where AWS said of the last refusal that no policy of its kind allowed it. Times of one second have no order. A refusal that names no key is counted with the runs that it lies in; a run of such alone is here where DynamoDB's own records name its table. With `--since` a run is what lies in the interval: refusals before it are not counted, and a run whose refusals all lie before it has no row.
-- column: principal_arn : the same where it is an ARN
-- column: operation : the operation of KMS
-- column: table_name : the DynamoDB table of the success
-- column: denied_count : the refusals of the run that name the key, or an alias that named this key alone then
-- column: denied_unnamed : refusals of the principal at the operation, from the first to the success, that name no key and may have been of this one
-- column: first_denied : the first refusal
-- column: last_denied : the last refusal
-- column: denial_reason : of the last refusal
-- column: change_event_name : the named change: the last that could have cured the last refusal's reason, after it or else up to 300 seconds before it
-- column: change_event_id : its id
-- column: changed_at : its time
-- column: changed_by : who made it
-- column: changed_by_self : `principal` where the refused principal made it, `person` where the person behind both is one, else NULL
-- column: changer_person : the person behind the change
-- column: changer_person_source : the source that names the person, as in `role_sessions`
-- column: subject_person : the person behind the success
-- column: subject_person_source : the source that names the person, as in `role_sessions`
-- column: other_changes : the ids of the other changes that could have cured it, in the order of time; of many the last 200
-- column: lag_seconds : from the last refusal to the named change, negative where the change was before
-- column: first_allowed : the success
-- column: denied_event_id : the id of the last refusal
-- column: allowed_event_id : the id of the success
-- column: first_data_event_id : the principal's first successful data event on that table from the success on
-- column: evidence : `shown`, `possible` or `unexplained`
-- column: basis : what speaks for the worst hour of the logs between: `digest`, `objects` or `none`
-- column: bad_hours : the number of these hours that are bad, as in `key-use-outside`: a log is missing, could not be read, or leaves KMS out. NULL where something that could not be read may be of any hour
SELECT 'refusal' AS kind, f.event_id, f.event_time, f.principal, f.operation, coalesce(f.key_arn, f.key_by_alias) AS key_arn, f.account_id, f.region,
       -- Of the session that succeeded. Users of IAM and of Identity Center without a session are their own persons.
       CASE WHEN p.person IS NOT NULL AND (p.person_source = 'chain' OR f.success_on_behalf_of IS NULL) THEN p.person
            WHEN p.principal_id IS NOT NULL THEN f.success_on_behalf_of
            WHEN starts_with(f.principal, 'idc:') OR starts_with(split_part(f.principal, ':', 6), 'user/') THEN f.principal
            END AS person,
       CASE WHEN p.person IS NOT NULL AND (p.person_source = 'chain' OR f.success_on_behalf_of IS NULL) THEN p.person_source
            WHEN p.principal_id IS NOT NULL
                THEN CASE WHEN p.person_source = 'chain' AND f.success_on_behalf_of IS NOT NULL THEN 'chain'
                          WHEN f.success_on_behalf_of IS NOT NULL THEN 'on_behalf_of' END
            WHEN starts_with(f.principal, 'idc:') THEN 'on_behalf_of'
            WHEN starts_with(split_part(f.principal, ':', 6), 'user/') THEN 'principal' END AS person_source,
       f.success_table_arn AS table_arn, f.success_table_name AS table_name, f.action, f.key_by_table, f.denial_reason,
       f.denial_effect, f.first_success_event_id AS success_event_id, f.first_success_after AS success_time,
       f.success_account_id, f.success_via_service AS via_service, f.success_principal_id AS principal_id,
       f.success_vpc_endpoint_id AS vpc_endpoint_id, NULL AS grant_id, NULL AS request_parameters,
       NULL AS response_elements, NULL AS until_hour, NULL AS verdict, NULL AS basis,
       f.denial_policy_arn
FROM denial_facts f
LEFT JOIN session_persons p
    ON f.success_principal_id = p.principal_id AND f.success_session_created IS NOT DISTINCT FROM p.session_created
UNION ALL
SELECT 'change', event_id, event_time, principal, event_name, key_arn, recipient_account_id, aws_region, person, person_source, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, grant_id, request_parameters, response_elements, NULL,
       NULL, NULL, NULL
FROM call_persons
WHERE outcome = 'success'
  AND (event_source = 'kms.amazonaws.com'
           AND event_name IN ('CreateGrant', 'CreateKey', 'PutKeyPolicy', 'ReplicateKey', 'RetireGrant', 'RevokeGrant')
       OR event_source = 'iam.amazonaws.com'
           AND event_name IN ('AddUserToGroup', 'AttachGroupPolicy', 'AttachRolePolicy', 'AttachUserPolicy', 'CreateGroup',
                              'CreatePolicy', 'CreatePolicyVersion', 'CreateRole', 'CreateUser', 'DeleteGroup',
                              'DeleteGroupPolicy', 'DeletePolicy', 'DeleteRole', 'DeleteRolePermissionsBoundary',
                              'DeleteRolePolicy', 'DeleteUser', 'DeleteUserPermissionsBoundary', 'DeleteUserPolicy',
                              'DetachGroupPolicy', 'DetachRolePolicy', 'DetachUserPolicy',
                              'PutGroupPolicy', 'PutRolePermissionsBoundary', 'PutRolePolicy',
                              'PutUserPermissionsBoundary', 'PutUserPolicy', 'RemoveUserFromGroup',
                              'SetDefaultPolicyVersion')
       OR event_source = 'organizations.amazonaws.com'
           AND event_name IN ('AttachPolicy', 'CreatePolicy', 'DeletePolicy', 'DetachPolicy', 'DisablePolicyType',
                              'EnablePolicyType', 'MoveAccount', 'RemoveAccountFromOrganization', 'UpdatePolicy')
       OR event_source = 'ec2.amazonaws.com' AND event_name IN ('CreateVpcEndpoint', 'ModifyVpcEndpoint'))
UNION ALL
-- A new session, where the policy of one refused: by its id, which a role has whatever path a request gives it. That of a
-- federated user has no more than its name.
SELECT 'change', s.event_id, s.event_time, s.principal, s.event_name, NULL, s.recipient_account_id, s.aws_region, s.person,
       s.person_source, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       s.response_elements, NULL, NULL, NULL, NULL
FROM (SELECT DISTINCT success_principal_id FROM denial_facts
      WHERE denial_reason = 'session_policy' AND success_principal_id IS NOT NULL) r
RIGHT SEMI JOIN (
    SELECT *, coalesce(json_get_str(response_elements, 'assumedRoleUser', 'assumedRoleId'),
                       json_get_str(response_elements, 'federatedUser', 'federatedUserId')) AS given_id
    FROM call_persons
    WHERE event_source = 'sts.amazonaws.com' AND outcome = 'success'
      AND event_name IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity', 'GetFederationToken')) s
ON r.success_principal_id = s.given_id
UNION ALL
-- An answer to `aws kms get-key-policy` tells the policy of its time.
SELECT 'told_policy', NULL, at, NULL, NULL, subject, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, json_get_str(body, 'Policy'), NULL, NULL, NULL, NULL,
       NULL
FROM state_answers
WHERE kind = 'get-key-policy' AND subject LIKE 'arn:%:key/%'
UNION ALL
SELECT 'data_event', d.event_id, d.event_time, d.principal, NULL, NULL, NULL, NULL, NULL, NULL, d.table_arn, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM (SELECT DISTINCT principal, success_table_arn FROM denial_facts WHERE success_table_arn IS NOT NULL) r
RIGHT SEMI JOIN (
    SELECT * FROM table_calls
    WHERE event_source = 'dynamodb.amazonaws.com' AND event_category = 'Data' AND outcome = 'success'
      AND in_interval(event_time)) d
ON r.principal = d.principal AND r.success_table_arn = d.table_arn
UNION ALL
SELECT 'span', NULL, from_hour, NULL, NULL, NULL, account_id, region, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, until_hour,
       -- What nobody can place may be of any hour.
       CASE WHEN hours IS NULL AND faults > 0 THEN 'bad' ELSE verdict END, basis, NULL
FROM coverage_spans
