-- title: The rules, and what each found
-- none: No rule was run.
-- rest: keytrail query "SELECT * FROM rules"
-- narrows: findings
SELECT r.rule, r.title, r.severity, r.rule_set, r.controls, r.attack, r.status, r.lacks,
       coalesce(f.open, 0) AS open, coalesce(f.open_info, 0) AS open_info, coalesce(f.suppressed, 0) AS suppressed
FROM rules r
LEFT JOIN (
    SELECT rule, count(*) FILTER (WHERE suppressed_by IS NULL) AS open,
           count(*) FILTER (WHERE suppressed_by IS NULL AND severity = 'info') AS open_info,
           count(*) FILTER (WHERE suppressed_by IS NOT NULL) AS suppressed
    FROM findings
    GROUP BY rule) f ON f.rule = r.rule
ORDER BY r.rule
