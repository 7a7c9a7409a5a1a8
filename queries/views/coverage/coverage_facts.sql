-- title: What tells of the coverage of hours
-- row: hour of objects, digest, log that a digest names and that is not whole, change of a trail, or place that is expected
-- description: The input of `coverage` and `coverage_spans`, which put it in order.
-- column: kind : `object`, `digest`, `missing` or `unreadable` (a log that a digest names), `switch`, `expected`, or `narrowed` (once, where accounts or Regions are left out)
-- column: account_id : the account
-- column: region : the Region; of a change of a trail, its home
-- column: from_time : the hour of objects, the begin of a digest, the first event of a log, the time of a change
-- column: until_time : the first moment after a digest, the last event of a log
-- column: name : the name of the event that changed a trail
-- column: request : its parameters
-- column: response : its answer
-- column: objects : the number of objects with a record in the hour
-- column: records : the number of their kept records
-- column: key_reads : the number of KMS's records among them that only read, copies included
-- column: faults : the number of objects, records and digests that could not be used or read
SELECT 'object' AS kind, account_id, region, hour AS from_time, hour AS until_time, arrow_cast(NULL, 'Utf8') AS event_id,
       arrow_cast(NULL, 'Utf8') AS name, arrow_cast(NULL, 'Utf8') AS request, arrow_cast(NULL, 'Utf8') AS response, count(records) AS objects, coalesce(sum(records), 0) AS records,
       sum(key_reads) AS key_reads, sum(faults) AS faults
FROM object_hours
GROUP BY account_id, region, hour
UNION ALL
SELECT 'digest', account_id, region, started, ended, NULL, NULL, NULL, NULL, 0, 0, 0,
       CASE WHEN fault IS NULL THEN 0 ELSE 1 END
FROM digest_facts
WHERE log IS NULL
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
SELECT 'switch', recipient_account_id, aws_region, event_time, NULL, event_id, event_name, request_parameters,
       response_elements, 0, 0, 0, 0
FROM events
WHERE event_source = 'cloudtrail.amazonaws.com' AND outcome = 'success'
  AND event_name IN ('CreateTrail', 'UpdateTrail', 'DeleteTrail', 'StartLogging', 'StopLogging', 'PutEventSelectors')
