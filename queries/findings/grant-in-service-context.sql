-- title: A person's grant on the encryption context of a service
-- severity: high
-- why: Services make the grants that they need themselves. A grant that somebody else makes on the context of a table or object lets its grantee decrypt the keys that the service keeps for it.
-- controls: NIST AC-6
-- attack: T1098 Account Manipulation
-- false-positives: A tool that makes grants in a service's place, for instance to hand an encrypted volume to another account.
-- next: `keytrail query open-grants -p key=KEY` shows whether it still stands; `keytrail query direct-table-context` shows who sent such a context.
-- set: default
-- needs: kms_writes
SELECT event_time, key_account_id AS account_id, key_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, table_name, outcome, make_array(event_id) AS event_ids,
       concat('direct grant to ', coalesce(grantee_principal, 'a grantee that is not told'), ' on the context of ',
              resource_service, ' ', coalesce(resource_arn, resource_name)) AS detail
FROM calls
WHERE event_name = 'CreateGrant' AND operation_class = 'grant' AND outcome = 'success' AND caller_class = 'direct'
  AND resource_service IS NOT NULL
  -- EC2 attaches volumes in the name of the caller, for the instance itself.
  AND (grantee_principal LIKE '%:aws:ec2-infrastructure:%') IS NOT TRUE
