-- title: The logs of findings
-- description: The object with the first event of each finding.
SELECT f.fingerprint, min(e.object_uri) AS object_uri
FROM findings f
JOIN events e ON e.event_id = f.event_ids[1]
GROUP BY f.fingerprint
ORDER BY f.fingerprint
