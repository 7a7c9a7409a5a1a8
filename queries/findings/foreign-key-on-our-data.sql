-- title: Data is encrypted under a key of another account
-- severity: medium
-- why: A service encrypted an account's data under a key that another account can disable or delete: this is how data in buckets is held to ransom without any malware. High if the history before the interval shows other keys in use and never this one; without such a history nobody can tell whether it is new.
-- controls: NIST SC-12
-- attack: T1486 Data Encrypted for Impact
-- false-positives: A central account for keys, or writing into a partner's bucket, which has the partner's key as its default.
-- next: Ask whose account it is; `keytrail query cross-account-use -p key=KEY` shows all of it. Objects can be copied back under an own key while the other account still lets you.
-- set: default
-- needs: kms_reads
SELECT c.event_time, c.account_id, c.region, c.principal, array_compact(make_array(c.session_arn)) AS sessions,
       array_compact(make_array(c.source_ip_address)) AS source_ips, c.key_arn, arrow_cast(NULL, 'Utf8') AS table_name,
       'success' AS outcome, make_array(c.event_id) AS event_ids,
       concat(c.via_service, ' encrypted under a key of account ', split_part(c.key_arn, ':', 5),
              CASE WHEN h.account_id IS NOT NULL THEN ', which the account did not use before'
                   ELSE '; what was used before is not known' END) AS detail,
       CASE WHEN h.account_id IS NOT NULL THEN 'high' END AS severity, c.event_count, c.last_time
FROM (
    SELECT principal_account_id AS account_id, key_arn, min(event_time) AS event_time, max(event_time) AS last_time,
           count(*) AS event_count, first_value(event_id ORDER BY event_time, event_id) AS event_id,
           first_value(principal ORDER BY event_time, event_id) AS principal,
           first_value(session_arn ORDER BY event_time, event_id) AS session_arn,
           first_value(source_ip_address ORDER BY event_time, event_id) AS source_ip_address,
           first_value(via_service ORDER BY event_time, event_id) AS via_service,
           first_value(aws_region ORDER BY event_time, event_id) AS region
    FROM key_use
    WHERE caller_class = 'forwarded' AND principal_account_id <> key_account_id AND recipient_account_id = principal_account_id
      AND event_name IN ('GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'Encrypt')
    GROUP BY principal_account_id, key_arn) c
LEFT JOIN (SELECT DISTINCT account_id FROM baseline) h ON h.account_id = c.account_id
WHERE NOT EXISTS (SELECT 1 FROM baseline b WHERE b.account_id = c.account_id AND b.key_arn = c.key_arn)
