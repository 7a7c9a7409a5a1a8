-- title: A policy of IAM lets its holder decrypt with every key
-- severity: medium
-- why: Such a policy opens every key that trusts IAM in its account, those too that are made later. Which keys a role needs is known when the policy is written.
-- controls: FSBP KMS.1
-- controls: FSBP KMS.2
-- controls: NIST AC-6
-- attack: T1098 Account Manipulation
-- false-positives: Administrators' roles, and AWS's own policies AdministratorAccess and PowerUserAccess where they are meant. A condition such as kms:ViaService may narrow it (low; it is named, not evaluated). Boundaries and SCPs are not looked at.
-- next: `keytrail query access-given`.
-- next: Ask the owner of the role which keys it needs, and name them in the policy.
-- set: default
-- needs: iam
WITH statements AS (
    SELECT *, unnest(CASE WHEN starts_with(ltrim(json_get_json(document, 'Statement')), '[')
                              THEN json_get_list(document, 'Statement')
                          ELSE make_array(json_get_json(document, 'Statement')) END) AS statement
    FROM (SELECT *, json_get_str(request_parameters, 'policyDocument') AS document
          FROM access_changes
          WHERE event_source = 'iam.amazonaws.com' AND outcome = 'success' AND cardinality(allows_kms) > 0
            AND change IN ('PutUserPolicy', 'PutRolePolicy', 'PutGroupPolicy', 'CreatePolicy', 'CreatePolicyVersion'))),
parts AS (
    SELECT *, unnest(CASE WHEN json_get_str(statement, 'Action') IS NOT NULL
                              THEN make_array(json_get_str(statement, 'Action'))
                          ELSE json_get_list(statement, 'Action') END) AS action,
           CASE WHEN json_get_str(statement, 'Resource') IS NOT NULL THEN make_array(json_get_str(statement, 'Resource'))
                ELSE json_get_list(statement, 'Resource') END AS resource_patterns,
           array_to_string(json_keys(statement, 'Condition'), ', ') AS conditions
    FROM statements
    WHERE json_get_str(statement, 'Effect') = 'Allow')
SELECT event_time, recipient_account_id AS account_id, aws_region AS region, principal,
       array_compact(make_array(first_value(session_arn ORDER BY event_time))) AS sessions,
       array_compact(make_array(first_value(source_ip_address ORDER BY event_time))) AS source_ips,
       arrow_cast(NULL, 'Utf8') AS key_arn, arrow_cast(NULL, 'Utf8') AS table_name, 'success' AS outcome,
       make_array(event_id) AS event_ids,
       concat(change, ' allows ', array_to_string(array_sort(array_agg(DISTINCT action)), ', '), ' on every key',
              CASE WHEN min(conditions) > '' THEN concat(', under a condition (', min(conditions), ')') END) AS detail,
       CASE WHEN min(conditions) > '' THEN 'low' ELSE 'medium' END AS severity, target AS subject
FROM (SELECT * REPLACE (coalesce(conditions, '') AS conditions) FROM parts)
WHERE (regexp_like('kms:decrypt', concat('^', replace(replace(lower(action), '*', '.*'), '?', '.'), '$'))
       OR regexp_like('kms:reencryptfrom', concat('^', replace(replace(lower(action), '*', '.*'), '?', '.'), '$')))
  -- All keys, or all of an account: what is written before `key/` does not narrow it to one.
  AND regexp_like(array_to_string(resource_patterns, ' '),
                  '(^| )(\*|arn:[^ ]*:key/\*|arn:[^: ]+:kms:\*|arn:[^ ]*:kms:[^: ]*:[^: ]*:\*)( |$)')
GROUP BY event_time, event_id, recipient_account_id, aws_region, principal, change, target
UNION ALL
-- The logs never have the text of AWS's own policies; of these two it is known that they allow all of KMS.
SELECT event_time, recipient_account_id, aws_region, principal, array_compact(make_array(session_arn)),
       array_compact(make_array(source_ip_address)), arrow_cast(NULL, 'Utf8'), arrow_cast(NULL, 'Utf8'), outcome,
       make_array(event_id),
       concat(change, ' of ', split_part(json_get_str(request_parameters, 'policyArn'), '/', -1), ', which allows all of KMS'),
       'medium', target
FROM access_changes
WHERE event_source = 'iam.amazonaws.com' AND outcome = 'success'
  AND change IN ('AttachUserPolicy', 'AttachRolePolicy', 'AttachGroupPolicy')
  AND regexp_like(json_get_str(request_parameters, 'policyArn'),
                  '^arn:[^:]+:iam::aws:policy/(AdministratorAccess|PowerUserAccess)$')
