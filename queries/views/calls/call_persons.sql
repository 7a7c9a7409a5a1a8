-- title: Every call once, with the person behind it
-- row: call
-- description: `calls`, and whom `session_persons` tells. A question that uses neither column reads no more than the calls. A person that only an earlier record could tell is NULL where earlier history was not read.
-- column: person : who was behind the principal: the user itself; of a session the outermost caller that a record names, its source identity, Identity Center user or, of roles of Identity Center alone, the session's name. NULL where a name of the caller's own choice is all there is, and for whoever signed in as root
-- column: person_source : the fact that names the person: `on_behalf_of`, `source_identity`, `chain` where a caller of the session does, `sso_session_name` or `principal`
SELECT c.*,
       CASE WHEN c.session_name IS NOT NULL OR p.person IS NOT NULL THEN p.person
            WHEN c.on_behalf_of IS NOT NULL THEN c.on_behalf_of
            WHEN c.source_identity IS NOT NULL THEN c.source_identity
            WHEN c.principal_type = 'IAMUser' OR starts_with(split_part(c.principal_arn, ':', 6), 'user/') THEN c.principal
            END AS person,
       CASE WHEN c.session_name IS NOT NULL OR p.person IS NOT NULL THEN p.person_source
            WHEN c.on_behalf_of IS NOT NULL THEN 'on_behalf_of'
            WHEN c.source_identity IS NOT NULL THEN 'source_identity'
            WHEN c.principal_type = 'IAMUser' OR starts_with(split_part(c.principal_arn, ':', 6), 'user/') THEN 'principal'
            END AS person_source
-- At most one row a call. What is small stands first in this join: it is what it holds in memory.
FROM session_persons p
RIGHT JOIN calls c
    ON p.principal_id IS NOT DISTINCT FROM c.principal_id AND p.session_created IS NOT DISTINCT FROM c.session_created
