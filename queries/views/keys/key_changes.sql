-- title: KMS calls that change a key, its policy, its grants or its aliases
-- row: KMS call of class `grant`, `policy` or `lifecycle`, with every outcome
-- column: change : the operation, as `event_name`
-- column: changed_by : the principal, as `principal`
-- column: person : who was behind the principal, as far as the record says
-- column: person_source : the column that `person` is from: `on_behalf_of`, `source_identity`, `principal` or `session_name`
SELECT *, event_name AS change, principal AS changed_by,
       coalesce(on_behalf_of, source_identity, CASE WHEN principal_type = 'IAMUser' THEN principal ELSE session_name END) AS person,
       CASE WHEN on_behalf_of IS NOT NULL THEN 'on_behalf_of'
            WHEN source_identity IS NOT NULL THEN 'source_identity'
            WHEN principal_type = 'IAMUser' THEN 'principal'
            WHEN session_name IS NOT NULL THEN 'session_name' END AS person_source
FROM calls
WHERE operation_class IN ('grant', 'policy', 'lifecycle')
