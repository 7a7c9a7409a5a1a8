-- title: Every session of a role or a federated user that called KMS, or had KMS called for it
-- row: session: `principal_id` and `session_created`
-- description: Calls, times and addresses are those of KMS calls in the interval that was asked for. A session is traced by the access key that STS gave, else by its id or ARN and the second in which it began, at most five seconds after the answer of STS; of several callers that may have begun it none is taken. Callers are followed outward at most 16 times, as far as their own calls of STS are here. Where earlier history was not read, a session that began before the interval has no `chain` and no `person` unless its own caller and all further ones are known: the log before may tell another.
-- column: principal_id : the unique id, with the session's name
-- column: assumed_by : the principal that asked STS for the session
-- column: assumed_by_event_id : the event of that call; NULL too where one principal made several calls of which any may be it
-- column: chain : the callers, the outermost first, the last being `assumed_by`
-- column: person : who was behind the session: the user's ARN, Identity Center user or source identity of the outermost caller that names one, of roles of Identity Center (`AWSReservedSSO_…`) the session's name; NULL where a name of the caller's own choice is all there is
-- column: person_source : `chain` where a caller of the session was followed, else the fact of the session itself that does: `on_behalf_of`, `source_identity`, `sso_session_name`
-- column: source_ips : the addresses of its own calls, without names of services; of more than 20 the first 20 in the order of their text
-- column: calls : calls to KMS
-- column: denied : refused calls to KMS
-- column: keys : different keys in these calls
-- column: tables : different tables in these calls
-- column: first_seen : the first of these calls
-- column: last_seen : the last of these calls
SELECT TRUE AS is_start, session_name IS NOT NULL OR (principal_type = 'Root' AND session_created IS NOT NULL) AS is_session,
       principal_type = 'IAMUser' OR starts_with(split_part(principal_arn, ':', 6), 'user/') AS is_user,
       event_time, event_id, principal, principal_id, session_created, session_arn, session_name, source_identity, on_behalf_of,
       -- A service that calls for a session has another access key.
       CASE WHEN caller_class = 'direct' THEN access_key_id END AS own_access_key,
       given_id, given_arn, given_access_key, given_identity,
       FALSE AS is_used, FALSE AS is_call, FALSE AS is_denied, NULL AS key_arn, NULL AS table_arn,
       NULL AS source_ip_address
FROM session_starts
UNION ALL
SELECT FALSE, TRUE, FALSE,
       event_time, event_id, principal, principal_id, session_created, session_arn, session_name, source_identity, on_behalf_of,
       CASE WHEN caller_class = 'direct' THEN access_key_id END,
       NULL, NULL, NULL, NULL,
       operation_class IS NOT NULL AND in_interval(event_time), key_role <> 'source', key_role <> 'source' AND outcome = 'denied',
       key_arn, table_arn, source_ip_address
FROM key_calls
-- Changes of access are no use, but their records name access keys and people as well, as `session_persons` knows.
WHERE (operation_class IS NOT NULL
       OR event_source IN ('iam.amazonaws.com', 'organizations.amazonaws.com', 'sso.amazonaws.com', 'ec2.amazonaws.com')
          AND read_only = FALSE)
  AND session_name IS NOT NULL
