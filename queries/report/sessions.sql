-- title: Sessions, and how many are traced to a person
-- none: No session of a role was seen in what was read.
-- rest: keytrail query sessions-traced
-- narrows: role_sessions
SELECT count(*) AS sessions, count(person) AS with_person, count(DISTINCT principal) AS roles FROM role_sessions
