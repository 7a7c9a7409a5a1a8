-- title: Ciphertext was re-encrypted under a key of another account
-- severity: high
-- why: ReEncrypt moves ciphertext out of the reach of its owner without anybody seeing the plaintext. The principal never did so to this key before. Medium where logs of the other account are here.
-- controls: NIST SC-12
-- controls: NIST AC-4
-- attack: T1486 Data Encrypted for Impact
-- false-positives: Handing data to a partner or another own account for the first time.
-- next: `keytrail trace PRINCIPAL` shows what else it did; ask whose account the destination is.
-- set: baseline
-- needs: kms_reads
-- needs: baseline
SELECT c.event_time, split_part(c.source_key_arn, ':', 5) AS account_id, split_part(c.source_key_arn, ':', 4) AS region,
       c.principal, array_compact(make_array(c.session_arn)) AS sessions,
       array_compact(make_array(c.source_ip_address)) AS source_ips, c.key_arn, c.table_name, c.outcome,
       make_array(c.event_id) AS event_ids,
       concat('re-encrypted from ', c.source_key_arn, ' to a key of account ', c.key_account_id) AS detail,
       CASE WHEN l.account_id IS NOT NULL THEN 'medium' END AS severity
FROM calls c
LEFT JOIN (SELECT DISTINCT account_id FROM coverage_spans WHERE objects > 0) l ON l.account_id = c.key_account_id
WHERE c.event_name = 'ReEncrypt' AND c.operation_class = 'crypto' AND c.outcome = 'success'
  AND split_part(c.source_key_arn, ':', 5) <> c.key_account_id AND c.recipient_account_id <> c.key_account_id
  AND NOT EXISTS (SELECT 1 FROM baseline b WHERE b.principal = c.principal AND b.key_arn = c.key_arn)
