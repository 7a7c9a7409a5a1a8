-- title: What needs a look
-- row: rule × principal × key × table × subject
-- description: The findings of all rules that ran. A rule that could not be evaluated has none, and `rules` says so.
-- column: title : of the rule's card
-- column: status : `open`, or `suppressed` by an entry of `--suppress`
-- column: suppressed_by : owner, end and reason of that entry
-- column: detail : the rule's words, with the number of events and the last of them where there are several
WITH titles AS (SELECT DISTINCT rule, title FROM rule_needs),
found AS (
    SELECT f.*, suppressed_by(f.rule, f.principal, f.key_arn, f.table_name) AS suppressed_by FROM rule_findings f
)
SELECT f.fingerprint, f.rule, t.title, f.severity,
       CASE WHEN f.suppressed_by IS NULL THEN 'open' ELSE 'suppressed' END AS status,
       f.event_time, f.last_time, f.event_count, f.account_id, f.region, f.principal, f.sessions, f.source_ips, f.key_arn,
       f.table_name, f.subject, f.outcome, f.event_ids,
       concat(f.detail, CASE WHEN f.event_count > 1 THEN concat('; ', f.event_count, ' events, the last ',
                                                               to_char(f.last_time, '%Y-%m-%dT%H:%M:%SZ')) END) AS detail,
       f.suppressed_by
FROM found f
JOIN titles t ON t.rule = f.rule
