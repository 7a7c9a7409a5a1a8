-- title: A guardrail refused somebody
-- severity: info
-- why: A policy of the organization, a boundary or an endpoint's policy said no where the account's own policies may have said yes. The control worked; who ran into it, and how often, tells what is tried.
-- controls: NIST AC-3
-- controls: CIS AWS 4.1
-- controls: PCI DSS 10.2.1.4
-- attack: T1580 Cloud Infrastructure Discovery
-- false-positives: People who do not know the rules yet, and pipelines in a Region or account where they may not work.
-- next: `keytrail query denials-explained`.
-- next: Ask the principal what it was for; mend the request, not the guardrail.
-- set: default
-- needs: kms_reads
SELECT event_time, coalesce(key_account_id, recipient_account_id) AS account_id, coalesce(key_region, aws_region) AS region,
       principal, array_compact(make_array(session_arn)) AS sessions,
       array_compact(make_array(source_ip_address)) AS source_ips, key_arn, table_name, outcome,
       make_array(event_id) AS event_ids,
       concat(coalesce(denied_action, event_name), ' denied by ',
              CASE denial_reason WHEN 'scp' THEN 'a service control policy' WHEN 'rcp' THEN 'a resource control policy'
                                 WHEN 'permissions_boundary' THEN 'a permissions boundary'
                                 ELSE 'a VPC endpoint''s policy' END,
              CASE WHEN denial_policy_arn IS NOT NULL THEN concat(' (', denial_policy_arn, ')') END) AS detail
FROM refusals
WHERE denial_effect = 'explicit' AND denial_reason IN ('scp', 'rcp', 'permissions_boundary', 'vpc_endpoint_policy')
  AND caller_class IS DISTINCT FROM 'service'
