-- title: KMS calls that change a key, its policy, its grants or its aliases
-- row: KMS call of class `grant`, `policy` or `lifecycle`, with every outcome
-- column: change : the operation, as `event_name`
-- column: changed_by : the principal, as `principal`
SELECT * EXCLUDE (person, person_source), event_name AS change, principal AS changed_by, person, person_source
FROM call_persons
WHERE operation_class IN ('grant', 'policy', 'lifecycle')
