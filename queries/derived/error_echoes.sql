-- title: Other services' own records of errors that KMS logged as well
-- row: record of a service that tells of the error in KMS's record
-- description: The two are one call: the message names KMS's request, or KMS failed the same principal, in the same session of a role where both tell it, through that service within five seconds, for what may be the same action and key. A message that names another request of KMS is of no call by its time. Each record is of one pair at most: requests go first, then times in their order, of those the ones that ended alike.
-- column: kms_event_id : the id of KMS's record
-- column: event_id : the id of the service's record
-- column: service : the service, by its short name
-- column: how : `request_id` where the message names KMS's request, else `time`
-- column: outcome : how KMS's call ended
-- column: key_arn : the key that the service's record names
-- column: table_arn : the table that DynamoDB's own record names, its name where the ARN is not told
SELECT CASE WHEN operation_class IS NULL THEN 'service' ELSE 'kms' END AS side,
       event_id, event_time, principal_id, aws_region, outcome, session_created, principal_type,
       CASE WHEN operation_class IS NULL THEN split_part(event_source, '.', 1) ELSE via_service END AS service,
       -- A service's message may name KMS's request.
       CASE WHEN operation_class IS NULL THEN error_message ELSE request_id END AS request_id,
       coalesce(denied_action, CASE WHEN operation_class IS NOT NULL THEN concat('kms:', event_name) END) AS action,
       coalesce(key_arn, source_key_arn) AS key_arn,
       CASE WHEN event_source = 'dynamodb.amazonaws.com' THEN coalesce(table_arn, table_name) END AS table_arn
FROM kms_errors
WHERE principal_id IS NOT NULL AND (operation_class IS NULL OR caller_class <> 'direct')
