-- title: The life of a key
-- none: Nothing of this interval tells of the key.
-- description: States, policies, aliases, grants, rotations and tables as periods; other changes; uses and refusals by principal and day, also those that name no key and may be of it; who got in after a refusal; and the hours whose logs are missing or leave KMS out.
SELECT at, until, what, who, detail, key_arn, table_name, event_id
FROM (
    SELECT valid_from AS at, valid_to AS until, 'state' AS what, set_by AS who, state AS detail, key_arn,
           arrow_cast(NULL, 'Utf8') AS table_name, set_event_id AS event_id
    FROM key_states
    WHERE key_arn = $subject
    UNION ALL
    SELECT valid_from, valid_to, 'policy', set_by,
           concat(CASE WHEN version IS NULL THEN 'version of an unknown number' ELSE concat('version ', version) END,
                  CASE WHEN reading <> 'whole' THEN concat(', ', reading)
                       WHEN newly_allows IS NULL THEN ', the one before is not known'
                       WHEN cardinality(newly_allows) > 0 THEN concat(', newly allows ', array_to_string(newly_allows, '; '))
                       WHEN cardinality(added) + cardinality(removed) + cardinality(changed) = 0 THEN ', the same in other words'
                       ELSE ', allows nothing new' END),
           key_arn, NULL, set_event_id
    FROM key_policies
    WHERE key_arn = $subject
    UNION ALL
    SELECT valid_from, valid_to, 'alias', set_by, alias_arn, key_arn, NULL, set_event_id
    FROM key_aliases
    WHERE key_arn = $subject
    UNION ALL
    SELECT rotated_at, NULL, 'rotation', NULL, kind, key_arn, NULL, event_id
    FROM key_rotations
    WHERE key_arn = $subject
    UNION ALL
    SELECT created_at, ended_at, 'grant', created_by,
           concat('to ', coalesce(grantee_principal, 'somebody who is not told'),
                  CASE WHEN operations IS NOT NULL THEN concat(': ', array_to_string(operations, ', ')) ELSE '' END,
                  CASE WHEN end_kind IS NULL THEN ''
                       WHEN ended_by IS NULL THEN concat('; ', end_kind)
                       ELSE concat('; ', end_kind, ' by ', ended_by) END,
                  CASE WHEN last_possible_use IS NOT NULL THEN '; may have been used' ELSE '' END),
           key_arn, table_name, create_event_id
    FROM grants
    WHERE key_arn = $subject
    UNION ALL
    SELECT coalesce(valid_from, first_in_scope), valid_to, 'table', set_by,
           concat('protects ', table_name, ' (', basis, CASE WHEN valid_from IS NULL THEN ', since when is not known)' ELSE ')' END),
           key_arn, table_name, set_event_id
    FROM table_keys
    WHERE key_arn = $subject
    UNION ALL
    SELECT event_time, NULL, 'change', changed_by,
           concat(CASE outcome WHEN 'success' THEN change ELSE concat(change, ' failed: ', coalesce(error_code, outcome)) END,
                  CASE WHEN alias_arn IS NOT NULL THEN concat(' of ', split_part(alias_arn, ':', 6))
                       WHEN grant_id IS NOT NULL THEN concat(' of ', grant_id) ELSE '' END),
           key_arn, NULL, event_id
    FROM (
        SELECT DISTINCT begun FROM (
            SELECT set_event_id AS begun FROM key_states WHERE key_arn = $subject
            UNION ALL
            SELECT set_event_id FROM key_policies WHERE key_arn = $subject
            UNION ALL
            SELECT set_event_id FROM key_aliases WHERE key_arn = $subject
            UNION ALL
            SELECT create_event_id FROM grants WHERE key_arn = $subject)
        WHERE begun IS NOT NULL) b
    RIGHT JOIN key_changes c ON b.begun = c.event_id
    WHERE (key_arn = $subject
           -- An alias that is deleted, or moves to another key.
           OR change IN ('DeleteAlias', 'UpdateAlias') AND alias_arn IN (SELECT alias_arn FROM key_aliases WHERE key_arn = $subject))
      -- Those that began something stand above as what they began.
      AND (outcome <> 'success' OR begun IS NULL)
    UNION ALL
    SELECT min(event_time), max(event_time), 'use', principal,
           concat(count(*), ' × ', event_name, CASE WHEN via_service IS NOT NULL THEN concat(' through ', via_service) ELSE '' END),
           key_arn, table_name, min(event_id)
    FROM key_use
    WHERE key_arn = $subject
    GROUP BY principal, event_name, via_service, key_arn, table_name, event_date
    UNION ALL
    SELECT min(event_time), max(event_time), CASE WHEN told_by IS NULL THEN 'refused, may be of it' ELSE 'refused' END, principal,
           concat(count(*), ' × ', action, ' by ', denial_reason,
                  CASE WHEN asked_alias IS NOT NULL THEN concat(', asked for ', asked_alias)
                       WHEN told_by = 'table' THEN ', the key told by the table'
                       WHEN told_by IS NULL THEN ', no key named' ELSE '' END),
           CASE WHEN told_by IS NOT NULL THEN $subject END, NULL, min(event_id)
    FROM (
        SELECT d.event_time, d.event_date, d.event_id, d.principal,
               coalesce(split_part(d.denied_action, ':', 2), d.event_name) AS action,
               coalesce(d.denial_reason, 'unspecified') AS denial_reason,
               CASE WHEN coalesce(d.key_arn, d.source_key_arn) IS NULL THEN d.requested_alias END AS asked_alias,
               CASE WHEN $subject IN (d.key_arn, d.source_key_arn) THEN 'record'
                    WHEN f.key_by_alias = $subject THEN 'alias'
                    WHEN f.key_by_table = $subject THEN 'table' END AS told_by,
               -- What names no key, in the key's account and Region; an alias that other keys alone had is of those.
               coalesce(d.key_arn, d.source_key_arn, f.key_by_alias, f.key_by_table) IS NULL
                   AND d.recipient_account_id = split_part($subject, ':', 5) AND d.aws_region = split_part($subject, ':', 4)
                   AND (d.alias_arn IS NULL
                        OR d.alias_arn IN (SELECT alias_arn FROM key_aliases WHERE key_arn = $subject)
                        OR d.alias_arn NOT IN (SELECT alias_arn FROM key_aliases WHERE key_arn IS NOT NULL)) AS may_be_of_key
        FROM denials d
        LEFT JOIN denial_facts f ON d.event_id = f.event_id)
    WHERE told_by IS NOT NULL OR may_be_of_key
    GROUP BY principal, action, denial_reason, asked_alias, told_by, event_date
    UNION ALL
    SELECT min(event_time), max(event_time), 'failed', principal, concat(count(*), ' × ', event_name, ': ', outcome), key_arn, table_name, min(event_id)
    FROM key_attempts
    WHERE key_arn = $subject AND outcome NOT IN ('success', 'denied')
    GROUP BY principal, event_name, outcome, key_arn, table_name, event_date
    UNION ALL
    SELECT first_allowed, NULL, 'got in', principal,
           concat(operation, ', refused ', denied_count, CASE denied_count WHEN 1 THEN ' time' ELSE ' times' END, ' since ', first_denied,
                  CASE WHEN change_event_name IS NULL THEN ', no change that explains it was seen'
                       ELSE concat(', after ', change_event_name, ' by ', changed_by) END, ' (', evidence, ')'),
           key_arn, table_name, allowed_event_id
    FROM access_chains
    WHERE key_arn = $subject
    UNION ALL
    SELECT from_hour, until_hour, 'hole', NULL,
           CASE WHEN kms_logged IN ('excluded', 'stopped') THEN concat('KMS was not logged: ', kms_logged) ELSE concat('logs: ', state) END,
           $subject, NULL, NULL
    FROM coverage_spans
    WHERE verdict = 'bad' AND account_id = split_part($subject, ':', 5) AND region = split_part($subject, ':', 4))
ORDER BY at NULLS FIRST, what, who, detail, event_id
