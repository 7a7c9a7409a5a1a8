-- KMS calls that change a key, its policy, its grants or its aliases, with every outcome.
SELECT *, event_name AS change, principal AS changed_by,
       coalesce(on_behalf_of, source_identity, CASE WHEN principal_type = 'IAMUser' THEN principal ELSE session_name END) AS person,
       CASE WHEN on_behalf_of IS NOT NULL THEN 'on_behalf_of'
            WHEN source_identity IS NOT NULL THEN 'source_identity'
            WHEN principal_type = 'IAMUser' THEN 'principal'
            WHEN session_name IS NOT NULL THEN 'session_name' END AS person_source
FROM calls
WHERE operation_class IN ('grant', 'policy', 'lifecycle')
