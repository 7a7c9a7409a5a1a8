-- title: One principal was turned away at many keys or by many operations within an hour
-- severity: medium
-- why: Whoever does not know what it may do tries everything. Dry runs and keys that are not found are tries too.
-- controls: CIS AWS 4.1
-- controls: NIST AU-6
-- controls: PCI DSS 10.2.1.4
-- attack: T1580 Cloud Infrastructure Discovery
-- false-positives: Scanners of one's own security team and inventory tools with too few rights. A program after a change of policy that took all its keys away. Services with their own roles are left out.
-- next: `keytrail query denied-attempts`, `keytrail trace PRINCIPAL`.
-- next: Ask the principal's owner what ran in that hour.
-- set: default
-- needs: kms_reads
WITH turned_away AS (
    SELECT event_time, event_id, principal, event_name, session_arn, source_ip_address, outcome,
           coalesce(recipient_account_id, key_account_id) AS account_id, aws_region,
           -- What the message calls `*` is no key.
           CASE WHEN coalesce(key_arn, source_key_arn, denied_resource, alias_arn, requested_alias) LIKE '%key/%'
                  OR coalesce(key_arn, source_key_arn, denied_resource, alias_arn, requested_alias) LIKE '%alias/%'
                THEN coalesce(key_arn, source_key_arn, denied_resource, alias_arn, requested_alias) END AS place
    FROM calls
    WHERE operation_class IS NOT NULL AND outcome IN ('denied', 'not_found', 'dry_run') AND caller_class <> 'service'
      AND principal NOT LIKE '%:role/aws-service-role/%'),
-- Hours begin every 30 minutes, so that none is cut in two by the clock.
hours AS (
    SELECT principal, from_time, min(event_time) AS first_seen, max(event_time) AS last_seen, count(*) AS calls,
           count(DISTINCT place) AS keys, count(DISTINCT event_name) AS operations, min(account_id) AS account_id,
           min(aws_region) AS region, CASE WHEN min(outcome) = max(outcome) THEN min(outcome) ELSE 'denied' END AS outcome,
           array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 20) AS event_ids,
           array_slice(array_sort(array_compact(array_agg(DISTINCT session_arn))), 1, 20) AS sessions,
           array_slice(array_sort(array_compact(array_agg(DISTINCT source_ip_address))), 1, 20) AS source_ips
    FROM (
        SELECT *, unnest(make_array(date_bin(INTERVAL '30' MINUTE, event_time),
                                    date_bin(INTERVAL '30' MINUTE, event_time) - INTERVAL '30' MINUTE)) AS from_time
        FROM turned_away)
    GROUP BY principal, from_time
    HAVING count(DISTINCT place) >= 5 OR count(DISTINCT event_name) >= 4)
SELECT first_seen AS event_time, account_id, region, principal, sessions, source_ips, arrow_cast(NULL, 'Utf8') AS key_arn,
       arrow_cast(NULL, 'Utf8') AS table_name, outcome, event_ids,
       concat(calls, ' calls were turned away within an hour, at ', keys, CASE WHEN keys = 1 THEN ' key' ELSE ' keys' END,
              ', of ', operations, CASE WHEN operations = 1 THEN ' operation' ELSE ' operations' END) AS detail,
       calls AS event_count, last_seen AS last_time
FROM (SELECT *, lag(from_time) OVER (PARTITION BY principal ORDER BY from_time) AS before FROM hours)
-- Of hours that overlap the first stands for all.
WHERE before IS NULL OR before < from_time - INTERVAL '30' MINUTE
