-- title: The objects that were read
-- none: Nothing was read.
-- rest: keytrail query "SELECT uri, status, records, bytes, sha256 FROM objects ORDER BY uri"
-- description: Those that could not be used come first.
SELECT uri, kind, status, records, bytes, sha256, error, count(*) OVER () AS of_all
FROM objects
WHERE status <> 'skipped'
ORDER BY status IN ('read', 'flagged'), uri
LIMIT 24
