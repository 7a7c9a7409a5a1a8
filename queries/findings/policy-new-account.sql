-- title: A key policy lets in another account
-- severity: high
-- why: From then on whoever administers that account decides who of it uses the key. Low where logs of that account are here, as it is one of your own then.
-- controls: PCI DSS 7.2
-- controls: NIST AC-6
-- attack: T1098 Account Manipulation
-- false-positives: Sharing data with a partner, or an account of the own organization whose logs are not here.
-- next: `keytrail query key-policy-versions -p key=KEY` shows the change and its conditions; `keytrail query foreign-accounts -p key=KEY` who came since.
-- set: default
-- needs: kms_writes
SELECT c.event_time, split_part(p.key_arn, ':', 5) AS account_id, split_part(p.key_arn, ':', 4) AS region, c.principal,
       array_compact(make_array(c.session_arn)) AS sessions, array_compact(make_array(c.source_ip_address)) AS source_ips,
       p.key_arn, arrow_cast(NULL, 'Utf8') AS table_name, c.outcome, make_array(c.event_id) AS event_ids,
       concat('newly lets in account ', split_part(p.note, ':', 2),
              CASE WHEN l.account_id IS NOT NULL THEN ', whose logs are here' END) AS detail,
       p.note AS subject, CASE WHEN l.account_id IS NOT NULL THEN 'low' END AS severity
FROM (SELECT key_arn, set_event_id, unnest(notable) AS note FROM key_policies) p
JOIN calls c ON c.event_id = p.set_event_id AND c.event_name IN ('CreateKey', 'PutKeyPolicy', 'ReplicateKey')
LEFT JOIN (SELECT DISTINCT account_id FROM coverage_spans WHERE objects > 0) l ON l.account_id = split_part(p.note, ':', 2)
WHERE starts_with(p.note, 'account:')
