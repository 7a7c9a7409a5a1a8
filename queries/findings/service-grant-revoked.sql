-- title: A person ended a grant that a service made for itself
-- severity: high
-- why: DynamoDB reads its tables by such a grant: without it the table is out of reach within the hour, although key and policy look untouched.
-- controls: NIST SC-12(1)
-- attack: T1489 Service Stop
-- false-positives: Grants of tables and volumes that are gone, tidied up by hand. Services end their own grants themselves.
-- next: `keytrail query who-needs-a-key -p key=KEY`, and look whether the table or volume still answers.
-- next: Ask who ended it why; the service makes a new grant when its encryption is set again.
-- set: default
-- needs: kms_writes
SELECT c.event_time, c.key_account_id AS account_id, coalesce(c.key_region, c.aws_region) AS region, c.principal,
       array_compact(make_array(c.session_arn)) AS sessions, array_compact(make_array(c.source_ip_address)) AS source_ips,
       g.key_arn, g.table_name, c.outcome, array_compact(make_array(g.create_event_id, c.event_id)) AS event_ids,
       concat(c.event_name, ' of the grant that ', g.created_via, ' made for ',
              coalesce(concat('table ', g.table_name), g.resource_arn, g.grantee_principal)) AS detail,
       CASE WHEN g.created_via = 'dynamodb' THEN 'high' ELSE 'medium' END AS severity
FROM (
    SELECT *
    FROM key_calls
    WHERE operation_class = 'grant' AND event_name IN ('RevokeGrant', 'RetireGrant') AND outcome = 'success'
      AND caller_class = 'direct') c
JOIN grants g ON g.end_event_id = c.event_id AND g.created_via IS NOT NULL
