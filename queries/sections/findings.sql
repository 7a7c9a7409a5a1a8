-- title: Needs a look
-- none: Nothing of what was read matches a finding.
-- place: 6
-- sentence: {severity}: {principal}[ on {key_arn}]: {finding}, {calls:call}, {first_seen..last_seen}.
-- description: Findings by principal and key; a call may have several. `findings` has the rows of every rule of queries/findings, with the severity of its card.
SELECT severity, detail AS finding, principal, key_arn, count(DISTINCT call_id) AS calls,
       min(event_time) AS first_seen, max(event_time) AS last_seen
FROM findings
GROUP BY severity, detail, principal, key_arn
ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 WHEN 'low' THEN 3 ELSE 4 END,
         calls DESC, finding, principal, key_arn
