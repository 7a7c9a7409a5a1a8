-- title: The person behind each session
-- row: session of which the person is known, or whose calls may name theirs
-- description: For joins on `principal_id` and `session_created`, of which the latter may be NULL. As `role_sessions` tells the person, but for the users whom single calls of the session name in `onBehalfOf`: one of these is behind that call, as `call_persons` says, and not behind the others. For sessions too that only changed access or root's credentials by AssumeRoot.
-- column: principal_id : the unique id, with the session's name
-- column: person : who was behind the session; NULL where nobody is named but by the `onBehalfOf` of its calls
-- column: person_source : `chain` where a caller of the session was followed, else `source_identity` or `sso_session_name`
SELECT TRUE AS is_start, session_name IS NOT NULL OR (principal_type = 'Root' AND session_created IS NOT NULL) AS is_session,
       principal_type = 'IAMUser' OR starts_with(split_part(principal_arn, ':', 6), 'user/') AS is_user,
       event_time, event_id, principal, principal_id, session_created, session_arn, session_name, source_identity, on_behalf_of,
       CASE WHEN caller_class = 'direct' THEN access_key_id END AS own_access_key,
       given_id, given_arn, given_access_key, given_identity
FROM session_starts
UNION ALL
SELECT FALSE, TRUE, FALSE,
       event_time, event_id, principal, principal_id, session_created, session_arn, session_name, source_identity, on_behalf_of,
       CASE WHEN caller_class = 'direct' THEN access_key_id END,
       NULL, NULL, NULL, NULL
FROM calls
WHERE (operation_class IS NOT NULL
       OR event_source IN ('iam.amazonaws.com', 'organizations.amazonaws.com', 'sso.amazonaws.com', 'ec2.amazonaws.com')
          AND read_only = FALSE)
  AND (session_name IS NOT NULL OR (principal_type = 'Root' AND session_created IS NOT NULL))
