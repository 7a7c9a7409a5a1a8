-- title: The rules, and whether the logs let them be evaluated
-- row: rule
-- description: No finding of a rule means something only where it was evaluated.
-- column: rule : the file of `queries/findings`, or of `--rules`
-- column: title : of its card
-- column: severity : of its card; a finding may have another, by its evidence
-- column: rule_set : `default`, or `baseline`: those that compare with what was usual, and run with `--rules-set baseline`
-- column: controls : what asks for such a control
-- column: attack : techniques of ATT&CK
-- column: status : `evaluated`, `not_evaluated` where the logs lack what it needs, `not_asked` where its set was not asked for
-- column: lacks : what it needs and the logs lack
WITH there AS (
    SELECT CASE event_source WHEN 'dynamodb.amazonaws.com' THEN 'dynamodb'
                             WHEN 'iam.amazonaws.com' THEN 'iam'
                             WHEN 'sts.amazonaws.com' THEN 'sts'
                             WHEN 'organizations.amazonaws.com' THEN 'organizations'
                             WHEN 'cloudtrail.amazonaws.com' THEN 'cloudtrail'
                             WHEN 'kms.amazonaws.com' THEN CASE WHEN read_only THEN 'kms_reads' ELSE 'kms_writes' END
           END AS need
    FROM events
    UNION SELECT 'digests' FROM objects WHERE kind = 'digest' AND status IN ('read', 'flagged')
    UNION SELECT 'baseline' FROM baseline
),
needs AS (
    SELECT n.*, CASE WHEN coalesce(n.is_met, n.need IS NULL OR t.need IS NOT NULL) THEN NULL ELSE n.need END AS lacks
    FROM rule_needs n
    LEFT JOIN there t ON t.need = n.need
)
SELECT rule, title, severity, rule_set, controls, attack,
       CASE WHEN NOT bool_and(is_run) THEN 'not_asked' WHEN count(lacks) = 0 THEN 'evaluated' ELSE 'not_evaluated' END AS status,
       arrow_cast(string_agg(lacks, ', ' ORDER BY lacks), 'Utf8') AS lacks
FROM needs
GROUP BY rule, title, severity, rule_set, controls, attack
