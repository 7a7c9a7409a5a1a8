-- title: One principal both decides on a key and decrypts with it
-- severity: medium
-- why: Who may decide on a key's policy and grants should not be who reads what it protects: then nobody stands between a wish and the data.
-- controls: PCI DSS 7.2.2
-- controls: NIST AC-5
-- attack: T1098 Account Manipulation
-- false-positives: Small accounts where one role does all. A program that makes grants for its own workers.
-- next: `keytrail query key-changes -p key=KEY`, `keytrail query key-users`.
-- next: Ask the key's owner to split the two roles.
-- set: default
-- needs: kms_reads
-- needs: kms_writes
SELECT least(c.first_seen, u.first_seen) AS event_time, split_part(c.key_arn, ':', 5) AS account_id,
       split_part(c.key_arn, ':', 4) AS region, c.principal,
       array_distinct(array_compact(make_array(c.session_arn, u.session_arn))) AS sessions,
       array_distinct(array_compact(make_array(c.source_ip_address, u.source_ip_address))) AS source_ips, c.key_arn,
       arrow_cast(NULL, 'Utf8') AS table_name, 'success' AS outcome,
       CASE WHEN c.first_seen <= u.first_seen THEN make_array(c.event_id, u.event_id)
            ELSE make_array(u.event_id, c.event_id) END AS event_ids,
       concat(c.change, ' and ', u.calls, CASE WHEN u.calls = 1 THEN ' decryption' ELSE ' decryptions' END,
              ' by one principal') AS detail,
       c.calls + u.calls AS event_count, greatest(c.last_seen, u.last_seen) AS last_time
FROM (
    SELECT principal, key_arn, min(event_time) AS first_seen, max(event_time) AS last_seen, count(*) AS calls,
           first_value(event_name ORDER BY event_time, event_id) AS change,
           first_value(event_id ORDER BY event_time, event_id) AS event_id,
           first_value(session_arn ORDER BY event_time, event_id) AS session_arn,
           first_value(source_ip_address ORDER BY event_time, event_id) AS source_ip_address
    FROM key_calls
    WHERE operation_class IN ('grant', 'policy') AND event_name IN ('PutKeyPolicy', 'CreateGrant') AND outcome = 'success'
      -- A service that protects something for the principal makes its grant in the principal's name.
      AND caller_class = 'direct'
    GROUP BY principal, key_arn) c
JOIN (
    SELECT principal, key_arn, min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(calls) AS calls,
           first_value(first_event_id ORDER BY first_seen, first_event_id) AS event_id,
           first_value(first_session_arn ORDER BY first_seen, first_event_id) AS session_arn,
           first_value(first_source_ip ORDER BY first_seen, first_event_id) AS source_ip_address
    FROM key_use_groups
    WHERE event_name IN ('Decrypt', 'ReEncrypt') AND key_role <> 'destination' AND key_arn IS NOT NULL
    GROUP BY principal, key_arn) u
    ON u.principal = c.principal AND u.key_arn = c.key_arn
