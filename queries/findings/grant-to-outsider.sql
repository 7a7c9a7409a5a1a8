-- title: A grant to another account
-- severity: high
-- why: A grant works without the key's policy saying so, nobody sees it there, and it outlives every change of the policy. Medium where the other account may only retire it or is a service-linked role, low where logs of that account are here.
-- controls: PCI DSS 7.2
-- controls: NIST AC-6
-- attack: T1098 Account Manipulation
-- false-positives: Sharing encrypted images or snapshots, where another account's service-linked role gets a grant; partners who read shared data.
-- next: `keytrail query open-grants -p key=KEY` shows what it allows and its last possible use; `aws kms revoke-grant` ends it.
-- set: default
-- needs: kms_writes
SELECT c.event_time, c.key_account_id AS account_id, c.key_region AS region, c.principal,
       array_compact(make_array(c.session_arn)) AS sessions, array_compact(make_array(c.source_ip_address)) AS source_ips,
       c.key_arn, c.table_name, c.outcome, make_array(c.event_id) AS event_ids,
       concat(CASE WHEN c.outsider = c.grantee_account THEN concat('lets ', c.grantee_principal, ' ', coalesce(array_to_string(c.operations, ', '), 'use the key'))
                   ELSE concat('may be retired by ', c.retiring_principal) END,
              CASE WHEN l.account_id IS NOT NULL THEN '; logs of that account are here' END) AS detail,
       concat('account:', c.outsider) AS subject,
       CASE WHEN l.account_id IS NOT NULL THEN 'low'
            WHEN c.outsider IS DISTINCT FROM c.grantee_account OR c.grantee_principal LIKE '%:role/aws-service-role/%' THEN 'medium' END AS severity
FROM (
    SELECT *, CASE WHEN grantee_account <> key_account_id THEN grantee_account ELSE retiring_account END AS outsider
    FROM (
        SELECT *, json_get_str(request_parameters, 'retiringPrincipal') AS retiring_principal,
               json_get_list(request_parameters, 'operations') AS operations,
               CASE WHEN grantee_principal LIKE 'arn:%' THEN nullif(split_part(grantee_principal, ':', 5), '') END AS grantee_account,
               CASE WHEN json_get_str(request_parameters, 'retiringPrincipal') LIKE 'arn:%'
                   THEN nullif(split_part(json_get_str(request_parameters, 'retiringPrincipal'), ':', 5), '') END AS retiring_account
        FROM calls
        WHERE event_name = 'CreateGrant' AND operation_class = 'grant' AND outcome = 'success')
    WHERE grantee_account <> key_account_id OR retiring_account <> key_account_id) c
LEFT JOIN (SELECT DISTINCT account_id FROM coverage_spans WHERE objects > 0) l ON l.account_id = c.outsider
