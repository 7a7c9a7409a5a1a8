-- title: Use of a key beyond what was declared for it
-- severity: high
-- why: The key's owners wrote down who uses it, through which service, for which tables and where. This use is none of that.
-- controls: NIST AC-3
-- controls: NIST AC-6
-- controls: PCI DSS 7.2.5
-- attack: T1530 Data from Cloud Storage
-- false-positives: A declaration that is behind what the owners have changed since.
-- next: `keytrail query key-users -p key=KEY`, then mend the declaration or the access.
-- next: Ask the key's owner.
-- set: default
-- needs: kms_reads
SELECT u.first_seen AS event_time, split_part(u.key_arn, ':', 5) AS account_id, u.region, u.principal,
       array_compact(make_array(u.session_arn)) AS sessions, array_compact(make_array(u.source_ip_address)) AS source_ips,
       u.key_arn, u.table_name, 'success' AS outcome, make_array(u.event_id) AS event_ids,
       concat(u.calls, CASE WHEN u.calls = 1 THEN ' call' ELSE ' calls' END, ' ',
              CASE u.service WHEN 'direct' THEN 'without a service' ELSE concat('through ', u.service) END, ' in ', u.region,
              ', which nobody declared') AS detail,
       u.calls AS event_count, u.last_seen AS last_time
FROM (
    SELECT principal, key_arn, coalesce(via_service, 'direct') AS service, table_name, region,
           min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(calls) AS calls,
           first_value(first_event_id ORDER BY first_seen, first_event_id) AS event_id,
           first_value(first_session_arn ORDER BY first_seen, first_event_id) AS session_arn,
           first_value(first_source_ip ORDER BY first_seen, first_event_id) AS source_ip_address
    FROM key_use_groups
    WHERE unexpected_use(key_arn, principal, via_service, table_name, region) IS NOT NULL
    GROUP BY principal, key_arn, coalesce(via_service, 'direct'), table_name, region) u
