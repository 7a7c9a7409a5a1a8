-- title: Use of a key that is disabled or unavailable
-- severity: medium
-- why: Somebody still needs the key: worth knowing before a deletion becomes final.
-- controls: NIST SC-12
-- controls: FSBP KMS.3
-- attack: T1489 Service Stop
-- false-positives: Monitoring that tries keys, and old jobs that nobody has turned off.
-- next: `keytrail query who-needs-a-key -p key=KEY` tells who used it before; `aws kms enable-key` or `aws kms cancel-key-deletion` brings it back.
-- set: default
-- needs: kms_reads
SELECT event_time, coalesce(key_account_id, recipient_account_id) AS account_id,
       coalesce(key_region, aws_region) AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, table_name, outcome, make_array(event_id) AS event_ids, concat(event_name, ': ', error_code) AS detail
FROM (
    SELECT * EXCLUDE (key_role)
    FROM key_calls
    WHERE outcome = 'key_unavailable'
      AND (operation_class = 'crypto' OR event_name = 'CreateGrant' AND caller_class <> 'direct')
      -- Of the two keys of a ReEncrypt the message names the one.
      AND (key_role = 'only' OR strpos(error_message, key_id) > 0 OR coalesce(strpos(error_message, ':key/'), 0) = 0)
    UNION ALL
    SELECT *
    FROM failures
    WHERE outcome = 'key_unavailable' AND operation_class IS NULL)
