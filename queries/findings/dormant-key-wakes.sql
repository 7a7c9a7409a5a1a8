-- title: A key was used again after three months without use
-- severity: medium
-- why: A key that nobody used for so long protects what is kept for later: archives, old backups, tables of systems that were shut down. Whoever opens them now is worth knowing.
-- controls: NIST SI-4
-- controls: PCI DSS 3.7.5
-- attack: T1530 Data from Cloud Storage
-- false-positives: Work that comes once a quarter or a year, such as closing the books, restore tests and audits.
-- next: `keytrail trace KEY`, `keytrail query last-use -p key=KEY`.
-- next: Ask the principal's owner what was opened.
-- set: baseline
-- needs: kms_reads
-- needs: baseline
SELECT u.first_seen AS event_time, split_part(u.key_arn, ':', 5) AS account_id, split_part(u.key_arn, ':', 4) AS region,
       u.principal, array_compact(make_array(u.session_arn)) AS sessions,
       array_compact(make_array(u.source_ip_address)) AS source_ips, u.key_arn, u.table_name, 'success' AS outcome,
       make_array(u.event_id) AS event_ids,
       concat('used for the first time in ', CAST(date_part('epoch', u.first_seen - b.last_seen) / 86400 AS BIGINT), ' days; ',
              u.calls, CASE WHEN u.calls = 1 THEN ' call' ELSE ' calls' END, ' since') AS detail,
       u.calls AS event_count, u.last_seen AS last_time
FROM (
    SELECT key_arn, min(event_time) AS first_seen, max(event_time) AS last_seen, count(*) AS calls,
           first_value(principal ORDER BY event_time, event_id) AS principal,
           first_value(event_id ORDER BY event_time, event_id) AS event_id,
           first_value(session_arn ORDER BY event_time, event_id) AS session_arn,
           first_value(source_ip_address ORDER BY event_time, event_id) AS source_ip_address,
           first_value(table_name ORDER BY event_time, event_id) AS table_name
    FROM key_use
    WHERE key_arn IS NOT NULL AND in_interval(event_time)
    GROUP BY key_arn) u
JOIN (
    SELECT key_arn, max(last_seen) AS last_seen, max(days_covered) AS days_covered FROM baseline GROUP BY key_arn) b
    ON b.key_arn = u.key_arn
WHERE u.first_seen >= b.last_seen + INTERVAL '90' DAY AND b.days_covered >= 90
