-- title: Objects of S3 were written under a key that only the caller has
-- severity: high
-- why: With a key of the customer's own (SSE-C) AWS keeps nothing but a check value. Whoever sent the key can read the object, and nobody else ever again; ransoms were asked for this way.
-- controls: NIST SC-12(1)
-- attack: T1486 Data Encrypted for Impact
-- false-positives: Programs that bring their own keys on purpose. S3's data events must be in the logs, and read with `--events all`.
-- next: Query the `events` of S3 on the bucket, with `--events all`.
-- next: Ask the bucket's owner; block SSE-C in the bucket's settings if nobody uses it.
-- set: default
-- needs: events_all
SELECT min(event_time) AS event_time, account_id, min(aws_region) AS region, principal,
       array_slice(array_sort(array_compact(array_agg(DISTINCT session_arn))), 1, 20) AS sessions,
       array_slice(array_sort(array_compact(array_agg(DISTINCT source_ip_address))), 1, 20) AS source_ips,
       arrow_cast(NULL, 'Utf8') AS key_arn, arrow_cast(NULL, 'Utf8') AS table_name, 'success' AS outcome,
       array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 20) AS event_ids,
       concat(count(*), CASE WHEN count(*) = 1 THEN ' object was' ELSE ' objects were' END,
              ' written with a key of the caller''s own') AS detail,
       concat('bucket ', bucket) AS subject, count(*) AS event_count, max(event_time) AS last_time
FROM (
    SELECT *, recipient_account_id AS account_id, json_get_str(request_parameters, 'bucketName') AS bucket
    FROM calls
    WHERE event_source = 's3.amazonaws.com' AND event_name IN ('PutObject', 'CopyObject', 'CreateMultipartUpload')
      AND outcome = 'success'
      AND json_contains(request_parameters, 'x-amz-server-side-encryption-customer-algorithm'))
GROUP BY principal, account_id, bucket
