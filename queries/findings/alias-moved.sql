-- title: An alias was moved to a new key or to one of another origin
-- severity: medium
-- why: Programs that encrypt by an alias follow it without noticing. Whoever owns the new key, or brings its material from outside, can later take away what was written since.
-- controls: NIST SC-12
-- controls: PCI DSS 3.7.4
-- attack: T1565 Data Manipulation
-- false-positives: Rotation by hand, which is just this: a new key, and the alias moved to it.
-- next: `keytrail query key-history -p key=KEY`, `keytrail trace ALIAS`.
-- next: Ask the key's owners whether they rotated it; data under the former key still needs that one.
-- set: default
-- needs: kms_writes
SELECT m.valid_from AS event_time, split_part(m.key_arn, ':', 5) AS account_id, split_part(m.key_arn, ':', 4) AS region,
       m.set_by AS principal, array_compact(make_array(c.session_arn)) AS sessions,
       array_compact(make_array(c.source_ip_address)) AS source_ips, m.key_arn, arrow_cast(NULL, 'Utf8') AS table_name,
       'success' AS outcome, make_array(m.set_event_id) AS event_ids,
       concat('from key ', split_part(m.former_key, '/', 2), ' to key ', split_part(m.key_arn, '/', 2),
              CASE WHEN n.created_at > m.valid_from - INTERVAL '24' HOUR THEN ', made within the day before' END,
              CASE WHEN n.origin <> f.origin THEN concat(', of origin ', n.origin, ' instead of ', f.origin) END) AS detail,
       regexp_replace(m.alias_arn, '^.*:alias/', 'alias/') AS subject,
       CASE WHEN n.origin <> f.origin AND n.origin IN ('EXTERNAL', 'EXTERNAL_KEY_STORE') THEN 'high' ELSE 'medium' END AS severity
FROM (
    SELECT *, lag(key_arn) OVER (PARTITION BY alias_arn ORDER BY valid_from NULLS FIRST, valid_to, key_arn) AS former_key
    FROM key_aliases
    WHERE key_arn IS NOT NULL) m
JOIN keys n ON n.key_arn = m.key_arn
LEFT JOIN keys f ON f.key_arn = m.former_key
LEFT JOIN (
    SELECT event_id, session_arn, source_ip_address
    FROM key_calls
    WHERE operation_class = 'lifecycle' AND event_name IN ('CreateAlias', 'UpdateAlias')) c ON c.event_id = m.set_event_id
WHERE m.valid_from IS NOT NULL AND m.former_key <> m.key_arn
  AND (n.created_at > m.valid_from - INTERVAL '24' HOUR OR n.origin <> f.origin)
