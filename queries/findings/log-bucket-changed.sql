-- title: The bucket of the logs was opened, emptied or set to expire
-- severity: high
-- why: Logs that are gone before anybody needs them are as good as none, and a bucket that others may write to proves nothing.
-- controls: NIST AU-9
-- controls: NIST AU-11
-- controls: PCI DSS 10.3.2
-- controls: PCI DSS 10.5.1
-- attack: T1562.008 Impair Defenses: Disable or Modify Cloud Logs
-- false-positives: A retention rule that is set up as planned, or changed with Terraform. S3's own records are outside the default filter: read with `--events all`.
-- next: Look at the rules and the policy of the bucket, and run `keytrail verify LOCATION`.
-- next: Ask whoever looks after the log archive.
-- set: default
-- needs: events_all
-- needs: cloudtrail
SELECT c.event_time, c.recipient_account_id AS account_id, c.aws_region AS region, c.principal,
       array_compact(make_array(c.session_arn)) AS sessions, array_compact(make_array(c.source_ip_address)) AS source_ips,
       arrow_cast(NULL, 'Utf8') AS key_arn, arrow_cast(NULL, 'Utf8') AS table_name, c.outcome,
       make_array(c.event_id) AS event_ids,
       concat(c.event_name, ' on the bucket that holds the logs') AS detail, concat('bucket ', c.bucket) AS subject,
       CASE WHEN c.event_name IN ('DeleteBucket', 'DeleteObject', 'DeleteObjects') THEN 'high' ELSE 'medium' END AS severity
FROM (
    SELECT *, json_get_str(request_parameters, 'bucketName') AS bucket
    FROM calls
    WHERE event_source = 's3.amazonaws.com' AND outcome = 'success' AND event_name IN (
        'PutBucketLifecycle', 'PutBucketLifecycleConfiguration', 'PutBucketPolicy', 'DeleteBucketPolicy', 'PutBucketAcl',
        'PutBucketVersioning', 'PutBucketPublicAccessBlock', 'DeleteBucketPublicAccessBlock', 'DeleteBucket', 'DeleteObject',
        'DeleteObjects', 'DeleteBucketEncryption')) c
JOIN (
    -- What a trail says that it writes to, and where the logs of this very run lie.
    SELECT json_get_str(response_elements, 's3BucketName') AS bucket
    FROM calls
    WHERE event_source = 'cloudtrail.amazonaws.com' AND event_name IN ('CreateTrail', 'UpdateTrail') AND outcome = 'success'
    UNION
    SELECT split_part(uri, '/', 3) FROM objects WHERE starts_with(uri, 's3://') AND kind IN ('log', 'digest')) b
    ON b.bucket = c.bucket
-- A trail's bucket may hold other things; what is deleted from it must be a log.
WHERE c.event_name NOT IN ('DeleteObject', 'DeleteObjects')
   OR json_get_str(c.request_parameters, 'key') LIKE '%AWSLogs/%/CloudTrail%'
