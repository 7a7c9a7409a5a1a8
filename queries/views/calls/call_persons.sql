-- title: Every call once, with the person behind it
-- row: call
-- description: `calls`, and whom `session_persons` tells. A question that uses neither column reads no more than the calls. A person that only an earlier record could tell is NULL where earlier history was not read.
-- column: person : who was behind the principal: the user itself; of a session the outermost caller that a record names, the Identity Center user on whose behalf this call was made, the source identity or, of roles of Identity Center alone, the session's name. NULL where a name of the caller's own choice is all there is, and for whoever signed in as root
-- column: person_source : `chain` where a caller of the session was followed, else the fact that names the person: `on_behalf_of`, `source_identity`, `sso_session_name` or `principal`
SELECT c.*,
       CASE WHEN p.person IS NOT NULL AND (p.person_source = 'chain' OR c.on_behalf_of IS NULL) THEN p.person
            -- What a call says of itself is of no other call of its session. Without a row, an earlier record may name
            -- a caller.
            WHEN p.principal_id IS NOT NULL THEN c.on_behalf_of
            WHEN c.session_name IS NOT NULL THEN NULL
            WHEN c.on_behalf_of IS NOT NULL THEN c.on_behalf_of
            WHEN c.source_identity IS NOT NULL THEN c.source_identity
            WHEN c.principal_type = 'IAMUser' OR starts_with(split_part(c.principal_arn, ':', 6), 'user/') THEN c.principal
            END AS person,
       CASE WHEN p.person IS NOT NULL AND (p.person_source = 'chain' OR c.on_behalf_of IS NULL) THEN p.person_source
            WHEN p.principal_id IS NOT NULL
                THEN CASE WHEN p.person_source = 'chain' AND c.on_behalf_of IS NOT NULL THEN 'chain'
                          WHEN c.on_behalf_of IS NOT NULL THEN 'on_behalf_of' END
            WHEN c.session_name IS NOT NULL THEN NULL
            WHEN c.on_behalf_of IS NOT NULL THEN 'on_behalf_of'
            WHEN c.source_identity IS NOT NULL THEN 'source_identity'
            WHEN c.principal_type = 'IAMUser' OR starts_with(split_part(c.principal_arn, ':', 6), 'user/') THEN 'principal'
            END AS person_source
-- At most one row a call. What is small stands first in this join: it is what it holds in memory.
FROM session_persons p
RIGHT JOIN calls c
    ON p.principal_id IS NOT DISTINCT FROM c.principal_id AND p.session_created IS NOT DISTINCT FROM c.session_created
