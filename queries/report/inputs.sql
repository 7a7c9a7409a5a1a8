-- title: The inputs, by kind and by what became of them
-- none: Nothing was read.
-- rest: keytrail query "SELECT * FROM objects ORDER BY uri"
SELECT kind, status, count(*) AS objects, sum(records) AS records, sum(kept) AS kept, sum(duplicate) AS duplicate,
       sum(filtered) AS filtered, sum(quarantined) AS quarantined, sum(conflicts) AS conflicts, sum(bytes) AS bytes,
       count(sha256) AS hashed
FROM objects
GROUP BY kind, status
ORDER BY kind, status
