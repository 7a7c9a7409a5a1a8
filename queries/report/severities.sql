-- title: Findings by severity
-- none: No rule that could be evaluated found anything.
-- rest: keytrail query "SELECT severity, status, count(*) FROM findings GROUP BY 1, 2"
-- narrows: findings
SELECT severity, status, count(*) AS findings
FROM findings
GROUP BY severity, status
ORDER BY severity, status
