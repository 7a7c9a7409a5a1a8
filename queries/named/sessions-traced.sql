-- title: The sessions that called KMS, and the person behind each
-- description: One row per session of a role or federated user, with the callers that led to it, the outermost first. `person` is NULL where the logs name nobody: a session's name is the caller's own choice. A caller in another account is followed only where that account's logs are here.
-- param: principal principal : of the session's role: ARN, role/NAME or NAME
SELECT first_seen, last_seen, principal, session_name, person, person_source, chain, source_ips, calls, denied, keys, tables,
       session_created, assumed_by_event_id, principal_id
FROM role_sessions
WHERE names_principal(CAST($principal AS VARCHAR), principal)
ORDER BY first_seen, principal, session_name, session_created, principal_id
