-- title: People behind roles
-- none: Nobody is known to be behind a session of a role.
-- rest: keytrail query sessions-traced
-- narrows: role_sessions
SELECT person, person_source, principal, count(*) AS sessions, sum(calls) AS calls, sum(denied) AS refused,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen, min(array_to_string(chain, ' → ')) AS chain,
       count(*) OVER () AS of_all
FROM role_sessions
WHERE person IS NOT NULL
GROUP BY person, person_source, principal
ORDER BY refused DESC, calls DESC, person, principal, person_source
LIMIT 32
