-- title: The life of a table
-- none: Nothing of this interval tells of the table.
-- description: The keys that protected it as periods, the changes of the table, use of its keys through DynamoDB and DynamoDB's own records by principal and day, who got in after a refusal, and the hours whose logs are missing or leave KMS out.
SELECT at, until, what, who, detail, key_arn, table_name, event_id
FROM (
    SELECT coalesce(valid_from, first_in_scope) AS at, valid_to AS until, 'key' AS what, set_by AS who,
           concat('under a key of kind ', key_kind, ' (', basis,
                  CASE WHEN valid_from IS NULL THEN ', since when is not known)' ELSE ')' END) AS detail,
           key_arn, table_name, set_event_id AS event_id
    FROM table_keys
    WHERE table_arn = $subject OR table_arn IS NULL AND table_name = $subject
    UNION ALL
    SELECT min(event_time), max(event_time), 'use', principal, concat(count(*), ' × ', event_name), key_arn, table_name, min(event_id)
    FROM dynamodb_key_use
    WHERE table_arn = $subject OR table_arn IS NULL AND table_name = $subject
    GROUP BY principal, event_name, key_arn, table_name, event_date
    UNION ALL
    SELECT min(event_time), max(event_time), CASE outcome WHEN 'success' THEN 'call' ELSE outcome END, principal,
           concat(count(*), ' × ', event_name), NULL, table_name, min(event_id)
    FROM table_calls
    WHERE (table_arn = $subject OR table_arn IS NULL AND table_name = $subject) AND event_source = 'dynamodb.amazonaws.com'
    GROUP BY principal, event_name, outcome, table_name, event_date
    UNION ALL
    SELECT min(event_time), max(event_time), CASE table_certainty WHEN 'certain' THEN 'refused' ELSE 'refused, may be of it' END, principal,
           concat(count(*), ' × ', action, ' by ', denial_reason,
                  CASE table_certainty WHEN 'certain' THEN '' WHEN 'likely' THEN ', the one table known of the key'
                                       ELSE ', one of the key''s tables' END),
           key_arn, NULL, min(event_id)
    FROM (
        SELECT event_time, event_date, event_id, principal, key_arn, table_certainty,
               coalesce(split_part(denied_action, ':', 2), event_name) AS action,
               coalesce(denial_reason, 'unspecified') AS denial_reason
        FROM denials
        -- Its own calls stand above.
        WHERE array_has(candidate_tables, $subject) AND event_source <> 'dynamodb.amazonaws.com')
    GROUP BY principal, action, denial_reason, key_arn, table_certainty, event_date
    UNION ALL
    SELECT created_at, ended_at, 'grant', created_by,
           concat('to ', coalesce(grantee_principal, 'somebody who is not told'),
                  CASE WHEN operations IS NOT NULL THEN concat(': ', array_to_string(operations, ', ')) ELSE '' END,
                  CASE WHEN end_kind IS NULL THEN ''
                       WHEN ended_by IS NULL THEN concat('; ', end_kind)
                       ELSE concat('; ', end_kind, ' by ', ended_by) END),
           key_arn, table_name, create_event_id
    FROM grants
    WHERE table_name = split_part($subject, ':table/', 2) AND split_part(key_arn, ':', 4) = split_part($subject, ':', 4)
          AND (split_part(key_arn, ':', 5) = split_part($subject, ':', 5)
               OR key_arn IN (SELECT key_arn FROM table_keys WHERE table_arn = $subject))
       OR table_name = $subject
    UNION ALL
    SELECT first_allowed, NULL, 'got in', principal,
           concat(operation, ', refused ', denied_count, CASE denied_count WHEN 1 THEN ' time' ELSE ' times' END,
                  CASE WHEN change_event_name IS NULL THEN ', no change that explains it was seen'
                       ELSE concat(', after ', change_event_name, ' by ', changed_by) END, ' (', evidence, ')'),
           key_arn, table_name, allowed_event_id
    FROM access_chains
    -- A table and its key are in one Region; accounts may each have a table of this name.
    WHERE table_name = split_part($subject, ':table/', 2) AND split_part(key_arn, ':', 4) = split_part($subject, ':', 4)
          AND (split_part(key_arn, ':', 5) = split_part($subject, ':', 5)
               OR key_arn IN (SELECT key_arn FROM table_keys WHERE table_arn = $subject))
       OR table_name = $subject
    UNION ALL
    SELECT from_hour, until_hour, 'hole', NULL,
           CASE WHEN kms_logged IN ('excluded', 'stopped') THEN concat('KMS was not logged: ', kms_logged) ELSE concat('logs: ', state) END,
           NULL, NULL, NULL
    FROM coverage_spans
    WHERE verdict = 'bad' AND account_id = split_part($subject, ':', 5) AND region = split_part($subject, ':', 4))
ORDER BY at NULLS FIRST, what, who, detail, event_id
