-- title: Needs a look
-- none: No rule that could be evaluated found anything.
-- rest: keytrail query "SELECT * FROM findings"
-- narrows: findings
SELECT fingerprint, rule, title, severity, status, event_time, last_time, event_count, account_id, region, principal,
       key_arn, table_name, event_ids, detail, suppressed_by, count(*) OVER () AS of_all
FROM findings
ORDER BY suppressed_by IS NOT NULL,
         CASE severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 WHEN 'low' THEN 3 ELSE 4 END,
         event_time, rule, fingerprint
LIMIT 100
