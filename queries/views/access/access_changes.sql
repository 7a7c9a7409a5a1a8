-- title: Changes of who may use keys: policies, grants, memberships, boundaries
-- row: change by IAM, Organizations, KMS or EC2 that bears on who may use keys, with every outcome
-- description: Changes of IAM and Organizations are here whatever their policy is about; `allows_kms` is empty where the new text allows nothing of KMS, and that of a trust policy always. A boundary, an SCP and an endpoint's policy only limit what others allow. An attachment, or a new default version, is read by the policy's text where the logs have it from before; they never have that of AWS's own policies. A refused change has the reading `none`.
-- column: change : the operation, as `event_name`
-- column: changed_by : the principal, as `principal`
-- column: target : whom or what it changes: the ARN of a user, role, group, policy or key, of a grant its grantee (NULL where only its end is in the logs), of a membership the user; of Organizations the id that the record has; NULL where the record does not say
-- column: target_kind : `user`, `role`, `group`, `policy`, `scp`, `rcp`, `account`, `organizational_unit`, `root`, `key`, `service`, `vpc_endpoint`
-- column: allows_kms : the actions of KMS that the new document allows, as patterns; `*` is every action of AWS, `undecided` stands for NotAction; empty for a trust policy. NULL where there is no document or it cannot be read
-- column: reading : how the document could be read: `whole`, `truncated` where CloudTrail cut it, `unparsed`; `none` where the change brings no document or the call failed; NULL where it names a policy whose text is not in the logs
SELECT c.* EXCLUDE (person, person_source), c.event_name AS change, c.principal AS changed_by, c.person, c.person_source,
       f.target, f.target_kind, f.allows_kms, f.reading
FROM access_change_calls c LEFT JOIN access_change_facts f
    ON c.event_id IS NOT DISTINCT FROM f.event_id AND c.event_time IS NOT DISTINCT FROM f.event_time
