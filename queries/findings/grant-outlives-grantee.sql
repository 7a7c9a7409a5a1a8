-- title: Open grant of a role or user that was deleted
-- severity: medium
-- why: Nobody watches a grant whose grantee is gone. It stays on the key until somebody revokes it, and shows that deleting people's access leaves parts of it behind.
-- controls: NIST AC-2(3)
-- controls: PCI DSS 8.2.5
-- attack: T1098 Account Manipulation
-- false-positives: A role that is deleted and made anew by a deployment, whose program asks for its grants again. A grant whose end lies in logs that are not here.
-- next: `keytrail query open-grants -p key=KEY`, then revoke the grant.
-- next: Ask whoever deleted the role or user what else it had.
-- set: default
-- needs: kms_writes
-- needs: iam
SELECT d.event_time, split_part(g.key_arn, ':', 5) AS account_id, split_part(g.key_arn, ':', 4) AS region, d.principal,
       array_compact(make_array(d.session_arn)) AS sessions, array_compact(make_array(d.source_ip_address)) AS source_ips,
       g.key_arn, g.table_name, d.outcome, array_compact(make_array(g.create_event_id, d.event_id)) AS event_ids,
       concat('the grant for ', array_to_string(g.operations, ', '), ' is open; its grantee ', g.grantee_principal,
              ' was deleted') AS detail,
       concat('grant ', g.grant_id) AS subject
FROM (
    SELECT event_time, event_id, principal, session_arn, source_ip_address, outcome,
           concat(recipient_account_id, '/',
                  CASE event_name WHEN 'DeleteRole' THEN concat('role/', json_get_str(request_parameters, 'roleName'))
                                  ELSE concat('user/', json_get_str(request_parameters, 'userName')) END) AS deleted
    FROM calls
    WHERE event_source = 'iam.amazonaws.com' AND event_name IN ('DeleteRole', 'DeleteUser') AND outcome = 'success') d
JOIN (
    -- A session's grant is its role's; a role or user is known by its name, without its path.
    SELECT *, concat(split_part(grantee_principal, ':', 5), '/',
                     CASE WHEN grantee_principal LIKE 'arn:%:iam::%:user/%' THEN 'user' ELSE 'role' END, '/',
                     CASE WHEN grantee_principal LIKE 'arn:%:sts::%' THEN split_part(grantee_principal, '/', 2)
                          ELSE split_part(grantee_principal, '/', -1) END) AS grantee
    FROM grants
    WHERE state = 'open'
      AND regexp_like(grantee_principal, '^arn:aws[a-z-]*:(iam::[0-9]+:(role|user)|sts::[0-9]+:assumed-role)/')) g
    ON g.grantee = d.deleted AND (g.created_at IS NULL OR g.created_at <= d.event_time)
