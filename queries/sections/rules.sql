-- title: Rules
-- description: Whether each rule could be evaluated.
SELECT rule, title, severity, rule_set, status, lacks
FROM rules
ORDER BY rule
