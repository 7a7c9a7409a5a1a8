-- title: Other services' own records of errors that KMS logged as well
-- row: record of a service that tells of the error in KMS's record
-- description: The two are one call: the message names KMS's request, or KMS failed the same principal, in the same session of a role where both tell it, through that service within five seconds, for what may be the same action and key. Each record is of one pair: of several that fit, those that stand at the same place in time.
-- column: kms_event_id : the id of KMS's record
-- column: event_id : the id of the service's record
-- column: service : the service, by its short name
-- column: how : `request_id` where the message names KMS's request, else `time`
-- column: outcome : how KMS's call ended
-- column: key_arn : the key that the service's record names
SELECT kms_event_id, event_id, service, how, outcome, key_arn
FROM (
    SELECT *, row_number() OVER (PARTITION BY kms_event_id ORDER BY how, unlike, apart, distance, event_time, event_id) AS of_kms
    FROM (
        SELECT *, row_number() OVER (PARTITION BY event_id, recipient_account_id, principal_id
                                     ORDER BY how, unlike, apart, distance, kms_time, kms_event_id) AS of_service
        FROM (
            SELECT k.event_id AS kms_event_id, k.event_time AS kms_time, k.outcome, e.event_id, e.event_time,
                   e.recipient_account_id, e.principal_id, e.key_arn, e.service,
                   CASE WHEN strpos(lower(e.error_message), lower(k.request_id)) > 0 THEN 'request_id' ELSE 'time' END AS how,
                   CASE WHEN e.outcome = k.outcome THEN 0 ELSE 1 END AS unlike,
                   abs(e.place - k.place) AS apart,
                   abs(date_part('epoch', e.event_time) - date_part('epoch', k.event_time)) AS distance
            FROM (
                SELECT *, row_number() OVER (PARTITION BY principal_id, aws_region, via_service ORDER BY event_time, event_id) AS place
                FROM event_companions
                WHERE operation_class IS NOT NULL AND outcome <> 'success' AND caller_class <> 'direct') k
            JOIN (
                SELECT *, split_part(event_source, '.', 1) AS service,
                       row_number() OVER (PARTITION BY principal_id, aws_region, event_source ORDER BY event_time, event_id) AS place
                FROM handed_on_errors
                WHERE principal_id IS NOT NULL) e
                ON k.principal_id = e.principal_id AND k.aws_region = e.aws_region
            WHERE coalesce(k.via_service, e.service) = e.service
              -- The session that a service gets for a user or for root begins with its call.
              AND (e.principal_type IS DISTINCT FROM 'AssumedRole' OR coalesce(e.session_created = k.session_created, true))
              AND (strpos(lower(e.error_message), lower(k.request_id)) > 0
                   OR (k.event_time BETWEEN e.event_time - INTERVAL '5 seconds' AND e.event_time + INTERVAL '5 seconds'
                       AND coalesce(e.denied_action = coalesce(k.denied_action, concat('kms:', k.event_name)), true)
                       AND coalesce(e.key_arn = coalesce(k.key_arn, k.source_key_arn), true)))))
    WHERE of_service = 1)
WHERE of_kms = 1
