-- title: A principal's first use of a key
-- severity: medium
-- why: Who uses a key changes seldom. A use by somebody who never used it in the history is the first trace of access that was given, found or stolen.
-- controls: NIST AC-2(12)
-- controls: NIST SI-4
-- attack: T1530 Data from Cloud Storage
-- false-positives: New programs and people, and jobs that run more seldom than the history is long. Keys that are made in the interval are left out.
-- next: `keytrail query first-use`, `keytrail trace PRINCIPAL`.
-- next: Ask the key's owner whether the principal should use it.
-- set: baseline
-- needs: kms_reads
-- needs: baseline
SELECT u.first_seen AS event_time, split_part(u.key_arn, ':', 5) AS account_id, split_part(u.key_arn, ':', 4) AS region,
       u.principal, array_compact(make_array(u.session_arn)) AS sessions,
       array_compact(make_array(u.source_ip_address)) AS source_ips, u.key_arn, u.table_name, 'success' AS outcome,
       make_array(u.event_id) AS event_ids,
       concat('first use of the key', CASE WHEN u.via IS NOT NULL THEN concat(' through ', u.via) END, '; ', u.calls,
              CASE WHEN u.calls = 1 THEN ' call' ELSE ' calls' END, ' in all; the history covers ', a.days, ' days') AS detail,
       u.calls AS event_count, u.last_seen AS last_time
FROM (
    SELECT principal, key_arn, min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(calls) AS calls,
           first_value(first_event_id ORDER BY first_seen, first_event_id) AS event_id,
           first_value(first_session_arn ORDER BY first_seen, first_event_id) AS session_arn,
           first_value(first_source_ip ORDER BY first_seen, first_event_id) AS source_ip_address,
           first_value(table_name ORDER BY first_seen, first_event_id) AS table_name,
           first_value(via_service ORDER BY first_seen, first_event_id) AS via
    FROM key_use_groups
    WHERE caller_class <> 'service' AND key_arn IS NOT NULL
    GROUP BY principal, key_arn) u
-- A week of history at least, of the account that the key is of.
JOIN (SELECT account_id, max(days_covered) AS days FROM baseline GROUP BY account_id HAVING max(days_covered) >= 7) a
    ON a.account_id = split_part(u.key_arn, ':', 5)
WHERE NOT EXISTS (SELECT 1 FROM baseline b WHERE b.principal = u.principal AND b.key_arn = u.key_arn)
  AND NOT EXISTS (SELECT 1 FROM key_calls c WHERE c.operation_class = 'lifecycle' AND c.event_name = 'CreateKey'
                  AND c.outcome = 'success' AND c.key_arn = u.key_arn)
