-- title: The life of a principal
-- none: Nothing of this interval tells of the principal.
-- description: Its uses of keys and its refusals by key and day, its calls of tables, the changes that it made, also through roles, and those that were made to it, who got in after a refusal, its sessions, the sessions of roles in which it acted, the grants that it was given, and the hours of its account whose logs are missing or leave KMS out.
SELECT at, until, what, who, detail, key_arn, table_name, event_id
FROM (
    SELECT min(event_time) AS at, max(event_time) AS until, 'use' AS what, principal AS who,
           concat(count(*), ' × ', event_name, CASE WHEN via_service IS NOT NULL THEN concat(' through ', via_service) ELSE '' END) AS detail,
           key_arn, table_name, min(event_id) AS event_id
    FROM key_use
    WHERE principal = $subject
    GROUP BY principal, event_name, via_service, key_arn, table_name, event_date
    UNION ALL
    SELECT min(event_time), max(event_time), CASE outcome WHEN 'success' THEN 'call' ELSE outcome END, principal,
           concat(count(*), ' × ', event_name), NULL, table_name, min(event_id)
    FROM table_calls
    WHERE principal = $subject AND event_source = 'dynamodb.amazonaws.com'
    GROUP BY principal, event_name, outcome, table_name, event_date
    UNION ALL
    SELECT min(event_time), max(event_time), 'refused', principal,
           concat(count(*), ' × ', coalesce(split_part(denied_action, ':', 2), event_name), ' by ', coalesce(denial_reason, 'unspecified')),
           key_arn, NULL, min(event_id)
    FROM denials
    WHERE principal = $subject
    GROUP BY principal, coalesce(split_part(denied_action, ':', 2), event_name), denial_reason, key_arn, event_date
    UNION ALL
    SELECT min(event_time), max(event_time), 'failed', principal, concat(count(*), ' × ', event_name, ': ', outcome), key_arn, table_name, min(event_id)
    FROM key_attempts
    WHERE principal = $subject AND outcome NOT IN ('success', 'denied')
    GROUP BY principal, event_name, outcome, key_arn, table_name, event_date
    UNION ALL
    SELECT event_time, NULL, 'changed', changed_by,
           CASE outcome WHEN 'success' THEN change ELSE concat(change, ' failed: ', coalesce(error_code, outcome)) END, key_arn, NULL, event_id
    FROM key_changes
    WHERE principal = $subject OR person = $subject
    UNION ALL
    SELECT event_time, NULL, 'changed', changed_by,
           concat(CASE outcome WHEN 'success' THEN change ELSE concat(change, ' failed: ', coalesce(error_code, outcome)) END,
                  CASE WHEN target IS NOT NULL THEN concat(' of ', target) ELSE '' END,
                  CASE WHEN cardinality(allows_kms) > 0 THEN concat(': ', array_to_string(allows_kms, ', ')) ELSE '' END),
           key_arn, NULL, event_id
    FROM access_changes
    -- Those of KMS stand above.
    WHERE (principal = $subject OR person = $subject) AND event_source <> 'kms.amazonaws.com'
    UNION ALL
    SELECT event_time, NULL, 'was given', changed_by,
           concat(CASE outcome WHEN 'success' THEN change ELSE concat(change, ' failed: ', coalesce(error_code, outcome)) END,
                  CASE WHEN cardinality(allows_kms) > 0 THEN concat(': ', array_to_string(allows_kms, ', ')) ELSE '' END),
           key_arn, NULL, event_id
    FROM access_changes
    WHERE target = $subject
    UNION ALL
    -- A group that it joined or left at any time.
    SELECT event_time, NULL, 'its group was given', changed_by,
           concat(split_part(target, ':', 6), ': ',
                  CASE outcome WHEN 'success' THEN change ELSE concat(change, ' failed: ', coalesce(error_code, outcome)) END,
                  CASE WHEN cardinality(allows_kms) > 0 THEN concat(': ', array_to_string(allows_kms, ', ')) ELSE '' END),
           key_arn, NULL, event_id
    FROM access_changes
    WHERE target_kind = 'group' AND concat(recipient_account_id, '/', split_part(target, '/', -1)) IN (
        SELECT concat(recipient_account_id, '/', json_get_str(request_parameters, 'groupName'))
        FROM access_changes
        WHERE target = $subject AND change IN ('AddUserToGroup', 'RemoveUserFromGroup') AND outcome = 'success')
    UNION ALL
    -- What a policy of a key newly allows it by its own name.
    SELECT valid_from, valid_to, 'was given', set_by, concat('the policy of the key: ', array_to_string(array_agg(action ORDER BY action), ', ')),
           key_arn, NULL, set_event_id
    FROM (
        SELECT valid_from, valid_to, set_by, key_arn, set_event_id, split_part(newly, ' ', 1) AS whom, split_part(newly, ' ', 2) AS action
        FROM (SELECT valid_from, valid_to, set_by, key_arn, set_event_id, unnest(newly_allows) AS newly FROM key_policies))
    WHERE whom = $subject
    GROUP BY valid_from, valid_to, set_by, key_arn, set_event_id
    UNION ALL
    SELECT first_allowed, NULL, 'got in', principal,
           concat(operation, ', refused ', denied_count, CASE denied_count WHEN 1 THEN ' time' ELSE ' times' END,
                  CASE WHEN change_event_name IS NULL THEN ', no change that explains it was seen'
                       ELSE concat(', after ', change_event_name, ' by ', changed_by) END, ' (', evidence, ')'),
           key_arn, table_name, allowed_event_id
    FROM access_chains
    WHERE principal = $subject
    UNION ALL
    SELECT created_at, ended_at, 'grant', created_by, concat('is granted ', array_to_string(operations, ', ')), key_arn, table_name, create_event_id
    FROM grants
    WHERE grantee_principal = $subject
    UNION ALL
    SELECT coalesce(session_created, first_seen), last_seen, 'session', assumed_by,
           concat(session_name, CASE WHEN person IS NOT NULL THEN concat(', of ', person) ELSE '' END, ', ', calls, ' calls'),
           NULL, NULL, assumed_by_event_id
    FROM role_sessions
    WHERE principal = $subject
    UNION ALL
    SELECT coalesce(session_created, first_seen), last_seen, 'acted as', principal,
           concat(session_name, ', ', calls, ' calls, ', denied, ' refused'), NULL, NULL, assumed_by_event_id
    FROM role_sessions
    WHERE (person = $subject OR assumed_by = $subject) AND principal <> $subject
    UNION ALL
    SELECT from_hour, until_hour, 'hole', NULL,
           concat(region, CASE WHEN kms_logged IN ('excluded', 'stopped') THEN concat(': KMS was not logged: ', kms_logged)
                               ELSE concat(': logs: ', state) END),
           NULL, NULL, NULL
    FROM coverage_spans
    -- A service has no account: then those of the logs that have its calls.
    WHERE verdict = 'bad' AND (account_id = split_part($subject, ':', 5)
                               OR $subject NOT LIKE 'arn:%' AND account_id IN (
                                   SELECT recipient_account_id FROM key_attempts WHERE principal = $subject)))
ORDER BY at NULLS FIRST, what, who, detail, event_id
