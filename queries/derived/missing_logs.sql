-- title: Logs that a digest names and that are not whole here
-- row: log that a digest among the locations names, or digest that says nothing
-- description: Objects are matched by the end of their path, from AWSLogs on, so that a copy in another place counts; one that lies outside such a folder by its file's name; an ending `.gz` does not matter. Digests are believed whether or not they are proved, and only logs of the days, accounts and Regions that were asked for are looked for. Without a digest there is no row, whatever is gone.
-- column: account_id : the account that the log is of
-- column: region : its Region
-- column: log : the key of the log, as the digest has it; NULL of a digest that says nothing, or something impossible
-- column: first_event : the time of its first event; where the digest tells none, that of its delivery; of a digest its end
-- column: last_event : the time of its last event
-- column: digest : the digest that names it, of several the first
-- column: presence : `missing`, or `unreadable` where the object is here and could not be read, or has no record although the digest tells when its events were; `digest_unreadable` of a digest
SELECT 'named' AS kind, log AS name, account_id, region, first_event, last_event, digest_uri AS digest
FROM digest_facts
WHERE log IS NOT NULL
UNION ALL
-- Its end belongs to the next hour.
SELECT 'digest', digest_uri AS name, account_id, region, ended - INTERVAL '1 second' AS first_event,
       ended - INTERVAL '1 second' AS last_event, digest_uri AS digest
FROM digest_facts
WHERE fault IS NOT NULL
UNION ALL
SELECT CASE WHEN status NOT IN ('read', 'flagged') AND error IS DISTINCT FROM 'replaced' THEN 'unreadable'
            WHEN records = 0 THEN 'empty'
            ELSE 'read' END, uri, NULL, NULL, first_event, last_event, NULL
FROM objects
WHERE status NOT IN ('skipped', 'missing')
