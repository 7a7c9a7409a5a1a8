-- title: What tells of the coverage of hours
-- row: hour of an object, digest, log that a digest names, once more if it is not whole here, change of a trail, or place that is expected
-- description: The input of `coverage` and `coverage_spans`, which put it in order.
-- column: kind : `object`, `digest`, `named` (a log that a digest names), `missing` or `unreadable` (of these, one that is not whole here), `switch`, `expected`, or `narrowed` (once, where accounts or Regions are left out)
-- column: account_id : the account
-- column: region : the Region; of a change of a trail, its home
-- column: from_time : the hour of an object, the begin of a digest, the first event of a log, the time of a change
-- column: until_time : the first moment after a digest, the last event of a log
-- column: name : the name of the event that changed a trail; of a digest and the logs that it names their trail, as `[ORGANIZATION/]HOMEREGION/NAME`, else the digest
-- column: log : the object, or the key of the log that a digest names
-- column: request : the parameters of a change
-- column: response : its answer
-- column: objects : 1 of an object that was read, 0 of one that gave nothing
-- column: records : the number of its kept records in the hour
-- column: key_reads : the number of KMS's records among them that only read, copies included, those of the event history left out
-- column: faults : 1 of an object, or a digest, that could not be used, and of an object with a record that could not be read
SELECT 'object' AS kind, account_id, region, hour AS from_time, hour AS until_time, arrow_cast(NULL, 'Utf8') AS name,
       object_uri AS log, arrow_cast(NULL, 'Utf8') AS request, arrow_cast(NULL, 'Utf8') AS response,
       CASE WHEN records IS NULL THEN 0 ELSE 1 END AS objects, coalesce(records, 0) AS records, key_reads, faults
FROM object_hours
UNION ALL
SELECT 'digest', account_id, region, started, ended, coalesce(trail, digest_uri), NULL, NULL, NULL, 0, 0, 0,
       CASE WHEN fault IS NULL THEN 0 ELSE 1 END
FROM digest_facts
WHERE log IS NULL
UNION ALL
SELECT 'named', account_id, region, NULL, NULL, coalesce(trail, digest_uri), log, NULL, NULL, 0, 0, 0, 0
FROM digest_facts
WHERE log IS NOT NULL
UNION ALL
SELECT presence, account_id, region, first_event, last_event, NULL, NULL, NULL, NULL, 0, 0, 0, 0
FROM missing_logs
WHERE log IS NOT NULL
UNION ALL
SELECT 'expected', account_id, region, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0
FROM expected_places
UNION ALL
SELECT 'narrowed', account_id, region, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0
FROM narrowed_scope
UNION ALL
SELECT 'switch', recipient_account_id, aws_region, event_time, NULL, event_name, NULL, request_parameters,
       response_elements, 0, 0, 0, 0
FROM events
WHERE event_source = 'cloudtrail.amazonaws.com' AND outcome = 'success'
  AND event_name IN ('CreateTrail', 'UpdateTrail', 'DeleteTrail', 'StartLogging', 'StopLogging', 'PutEventSelectors')
