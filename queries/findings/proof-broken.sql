-- title: What the logs say of keys is not proved
-- severity: high
-- why: A log that does not match its signed digest was changed after CloudTrail wrote it, and a log that a digest names and that is gone was taken away. Both lie where keys were used.
-- controls: NIST AU-9(3)
-- controls: NIST AU-10
-- controls: PCI DSS 10.3.4
-- attack: T1070 Indicator Removal
-- false-positives: Copies that were written anew by a tool, and logs that a lifecycle rule removed before their digests. Without `--verify` nothing is said of changed files.
-- next: `keytrail verify LOCATION`, `keytrail query coverage-holes`.
-- next: Fetch the files again from where CloudTrail put them.
-- set: default
-- needs: digests
SELECT min(event_time) AS event_time, recipient_account_id AS account_id, aws_region AS region,
       arrow_cast(NULL, 'Utf8') AS principal,
       array_slice(array_sort(array_compact(array_agg(DISTINCT session_arn))), 1, 20) AS sessions,
       array_slice(array_sort(array_compact(array_agg(DISTINCT source_ip_address))), 1, 20) AS source_ips,
       arrow_cast(NULL, 'Utf8') AS key_arn, arrow_cast(NULL, 'Utf8') AS table_name, 'success' AS outcome,
       array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 20) AS event_ids,
       concat(count(*), CASE WHEN count(*) = 1 THEN ' use' ELSE ' uses' END, ' of ', count(DISTINCT key_arn),
              CASE WHEN count(DISTINCT key_arn) = 1 THEN ' key' ELSE ' keys' END, ' in a log that is not as CloudTrail signed it')
           AS detail,
       -- The same log wherever a copy of it lies.
       regexp_replace(object_uri, '^.*/AWSLogs/', 'AWSLogs/') AS subject, 'high' AS severity,
       count(*) AS event_count, max(event_time) AS last_time
FROM key_use
WHERE integrity = 'invalid'
GROUP BY object_uri, recipient_account_id, aws_region
UNION ALL
SELECT h.from_hour, h.account_id, h.region, arrow_cast(NULL, 'Utf8'), array_compact(make_array(arrow_cast(NULL, 'Utf8'))),
       array_compact(make_array(arrow_cast(NULL, 'Utf8'))), arrow_cast(NULL, 'Utf8'), arrow_cast(NULL, 'Utf8'), 'success',
       array_compact(make_array(max(u.last_event_id) FILTER (WHERE u.hour < h.from_hour),
                                max(u.first_event_id) FILTER (WHERE u.hour >= h.until_hour))),
       concat(h.hours, CASE WHEN h.hours = 1 THEN ' hour' ELSE ' hours' END, ' from ',
              to_char(h.from_hour, '%Y-%m-%d %H:%M'),
              ' on, of which a log is missing that a digest names; keys were used before and after'),
       concat('logs of ', h.account_id, ' in ', h.region, ' from ', to_char(h.from_hour, '%Y-%m-%dT%H:%MZ')),
       'high', CAST(2 AS BIGINT), h.until_hour
FROM (SELECT * FROM coverage_spans WHERE state = 'missing') h
JOIN key_use_by_hour u
    ON u.account_id = h.account_id AND u.region = h.region
       AND u.hour >= h.from_hour - INTERVAL '24' HOUR AND u.hour < h.until_hour + INTERVAL '24' HOUR
GROUP BY h.account_id, h.region, h.from_hour, h.until_hour, h.hours
HAVING bool_or(u.hour < h.from_hour) AND bool_or(u.hour >= h.until_hour)
