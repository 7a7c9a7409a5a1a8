-- title: The target of each change of access, and what its policy allows
-- row: event of `access_change_calls`, by its id and time
-- description: `access_changes` has these beside the columns of `events`.
-- column: event_id : the id of the event
-- column: target : whom or what it changes: the ARN of a user, role, group, policy or key, of a grant its grantee (NULL where only its end is in the logs), of a membership the user; of Organizations the id that the record has; NULL where the record does not say
-- column: target_kind : `user`, `role`, `group`, `policy`, `scp`, `rcp`, `account`, `organizational_unit`, `root`, `key`, `service`, `vpc_endpoint`
-- column: allows_kms : the actions of KMS that the new document allows, as patterns; `*` is every action of AWS, `undecided` stands for NotAction; empty for a trust policy, which lets nobody use a key by itself. NULL where there is no document or it cannot be read
-- column: reading : how the document could be read: `whole`, `truncated` where CloudTrail cut it, `unparsed`; `none` where the change brings no document or the call failed; NULL where it names a policy whose text is not in the logs
SELECT event_id, event_time, split_part(event_source, '.', 1) AS service, event_name, outcome, aws_region,
       coalesce(recipient_account_id, principal_account_id) AS account_id, key_arn, grant_id, grantee_principal,
       denied_resource, request_parameters, response_elements
FROM access_change_calls
