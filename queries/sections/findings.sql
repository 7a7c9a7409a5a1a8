-- title: Needs a look
-- none: No rule that could be evaluated found anything.
-- place: 6
-- shows: severity, detail, principal, key_arn, table_name, event_count, event_time, last_time
-- sentence: {severity}: {principal}[ on {key_arn}][ of table {table_name}]: {detail}, {event_count:event}, {event_time..last_time}.
-- description: The findings of all rules, the gravest first. `rules` says which could not be evaluated.
SELECT fingerprint, rule, title, severity, status, event_time, last_time, event_count, account_id, region, principal,
       sessions, source_ips, key_arn, table_name, subject, outcome, event_ids, detail, suppressed_by
FROM findings
ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 WHEN 'low' THEN 3 ELSE 4 END,
         event_time, rule, fingerprint
