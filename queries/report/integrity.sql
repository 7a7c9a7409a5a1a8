-- title: The proof of the objects that events are from
-- none: No event was kept.
-- rest: keytrail query "SELECT integrity, count(*) FROM events GROUP BY integrity"
SELECT integrity, count(*) AS events
FROM events
GROUP BY integrity
ORDER BY integrity
