-- title: Root called KMS
-- severity: high
-- why: Root's credentials are for the few tasks that nobody else can do, and using or changing keys is none of them. No policy of IAM holds root back.
-- controls: CIS AWS 4.3
-- controls: NIST AC-6(9)
-- attack: T1078.004 Valid Accounts: Cloud Accounts
-- false-positives: A key whose policy locked everybody else out. The console lists and describes keys for whoever opens its pages (low).
-- next: `keytrail query root-use`, and look for ConsoleLogin of root before it.
-- next: Ask whoever holds the root credentials of the account.
-- set: default
-- needs: kms_reads
-- needs: kms_writes
SELECT event_time, coalesce(key_account_id, recipient_account_id) AS account_id, coalesce(key_region, aws_region) AS region,
       principal, array_compact(make_array(session_arn)) AS sessions,
       array_compact(make_array(source_ip_address)) AS source_ips, key_arn, table_name, outcome,
       make_array(event_id) AS event_ids,
       concat('root called ', event_name, CASE WHEN via_service IS NOT NULL THEN concat(' through ', via_service) END,
              CASE WHEN outcome <> 'success' THEN concat(', ', outcome) END) AS detail,
       CASE WHEN outcome = 'success' AND operation_class IN ('crypto', 'grant', 'policy', 'lifecycle') THEN 'high'
            ELSE 'low' END AS severity
FROM key_calls
WHERE operation_class IS NOT NULL AND principal_type = 'Root'
