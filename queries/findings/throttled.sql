-- title: Throttled KMS calls
-- severity: low
-- why: A rate or quota of KMS was reached; what could not call in time may have failed. AWS does not log every throttled call.
-- controls: NIST SC-5
-- attack: T1499 Endpoint Denial of Service
-- false-positives: Start-up of many hosts at once, and batch jobs without a cache of data keys.
-- next: `keytrail query throttling` shows all of them; ask for a higher quota, or cache data keys.
-- set: default
-- needs: kms_reads
SELECT event_time, coalesce(key_account_id, recipient_account_id) AS account_id,
       coalesce(key_region, aws_region) AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, table_name, outcome, make_array(event_id) AS event_ids, concat(event_name, ': ', error_code) AS detail
FROM calls
WHERE outcome = 'throttled' AND operation_class IS NOT NULL
