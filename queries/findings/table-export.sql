-- title: A DynamoDB table was exported
-- severity: medium
-- why: An export is the whole table as files, read without one data event. The first one of a principal is worth a question; high if it goes to another account's bucket or under another account's key. First means first in what was read.
-- controls: NIST AC-4
-- attack: T1567 Exfiltration Over Web Service
-- false-positives: Pipelines that feed a data lake export tables as their job.
-- next: Ask who reads the bucket; `keytrail query table-users -p table=TABLE` shows who else reached the table.
-- set: default
-- needs: dynamodb
SELECT event_time, table_account_id AS account_id, split_part(exported, ':', 4) AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       sse_key AS key_arn, split_part(exported, '/', 2) AS table_name, outcome, make_array(event_id) AS event_ids,
       concat('exported to bucket ', coalesce(json_get_str(request_parameters, 's3Bucket'), 'not told'),
              CASE WHEN owner <> table_account_id THEN concat(' of account ', owner) END,
              CASE WHEN split_part(sse_key, ':', 5) <> table_account_id
                   THEN concat(' under a key of account ', split_part(sse_key, ':', 5)) END) AS detail,
       CASE WHEN is_outside THEN 'high' END AS severity
FROM (
    SELECT *, coalesce(owner <> table_account_id, false)
              OR coalesce(split_part(sse_key, ':', 5) <> table_account_id, false) AS is_outside,
           row_number() OVER (PARTITION BY principal ORDER BY event_time, event_id) AS nth
    FROM (
        SELECT *, split_part(exported, ':', 5) AS table_account_id, json_get_str(request_parameters, 's3BucketOwner') AS owner,
               CASE WHEN json_get_str(request_parameters, 's3SseKmsKeyId') LIKE 'arn:%:key/%'
                    THEN json_get_str(request_parameters, 's3SseKmsKeyId') END AS sse_key
        FROM (SELECT *, coalesce(json_get_str(request_parameters, 'tableArn'), table_arn) AS exported FROM calls)
        WHERE event_source = 'dynamodb.amazonaws.com' AND event_name = 'ExportTableToPointInTime' AND outcome = 'success'))
WHERE nth = 1 OR is_outside
