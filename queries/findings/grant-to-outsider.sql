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
SELECT event_time, key_account_id AS account_id, key_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, table_name, outcome, make_array(event_id) AS event_ids,
       concat(CASE WHEN outsider = grantee_account
                   THEN concat('lets ', grantee_principal, ' ', coalesce(array_to_string(operations, ', '), 'use the key'))
                   ELSE concat('may be retired by ', retiring_principal) END,
              CASE WHEN has_logs THEN '; logs of that account are here' END) AS detail,
       concat('account:', outsider) AS subject,
       CASE WHEN has_logs THEN 'low'
            WHEN outsider IS DISTINCT FROM grantee_account OR grantee_principal LIKE '%:role/aws-service-role/%' THEN 'medium'
            END AS severity
FROM (
    SELECT c.*, l.account_id IS NOT NULL AS has_logs
    FROM (
        SELECT *, CASE WHEN grantee_account <> key_account_id THEN grantee_account
                       WHEN retiring_account <> key_account_id THEN retiring_account END AS outsider
        FROM (
            SELECT *, json_get_list(request_parameters, 'operations') AS operations,
                   json_get_str(request_parameters, 'retiringPrincipal') AS retiring_principal,
                   -- A service's name has no account.
                   nullif(split_part(grantee_principal, ':', 5), '') AS grantee_account,
                   nullif(split_part(json_get_str(request_parameters, 'retiringPrincipal'), ':', 5), '') AS retiring_account
            FROM calls
            WHERE event_name = 'CreateGrant' AND operation_class = 'grant' AND outcome = 'success')) c
    LEFT JOIN (SELECT DISTINCT account_id FROM coverage_spans WHERE objects > 0) l ON l.account_id = c.outsider
    WHERE c.outsider IS NOT NULL)
