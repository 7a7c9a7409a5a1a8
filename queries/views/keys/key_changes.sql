-- title: KMS calls that change a key, its policy, its grants or its aliases
-- row: KMS call of class `grant`, `policy` or `lifecycle`, with every outcome
-- column: change : the operation, as `event_name`
-- column: changed_by : the principal, as `principal`
-- column: person : who was behind the principal: the user itself, of a session whom `session_persons` tells; NULL where a session's name is all there is, since the caller chose it
-- column: person_source : the fact that names the person: `on_behalf_of`, `source_identity`, `chain`, `sso_session_name` or `principal`
SELECT c.*, c.event_name AS change, c.principal AS changed_by,
       CASE WHEN c.session_name IS NOT NULL OR p.person IS NOT NULL THEN p.person
            WHEN c.on_behalf_of IS NOT NULL THEN c.on_behalf_of
            WHEN c.source_identity IS NOT NULL THEN c.source_identity
            WHEN c.principal_type = 'IAMUser' OR starts_with(split_part(c.principal_arn, ':', 6), 'user/') THEN c.principal END AS person,
       CASE WHEN c.session_name IS NOT NULL OR p.person IS NOT NULL THEN p.person_source
            WHEN c.on_behalf_of IS NOT NULL THEN 'on_behalf_of'
            WHEN c.source_identity IS NOT NULL THEN 'source_identity'
            WHEN c.principal_type = 'IAMUser' OR starts_with(split_part(c.principal_arn, ':', 6), 'user/') THEN 'principal' END AS person_source
-- At most one row a call, so that a question without a person reads no more than the calls.
FROM session_persons p
RIGHT JOIN calls c
    ON p.principal_id IS NOT DISTINCT FROM c.principal_id AND p.session_created IS NOT DISTINCT FROM c.session_created
WHERE c.operation_class IN ('grant', 'policy', 'lifecycle')
