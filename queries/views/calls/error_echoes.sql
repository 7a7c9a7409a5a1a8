-- title: Other services' own records of errors that KMS logged as well
-- row: record of a service that tells of the error in KMS's record
-- description: The two are one call: the message names KMS's request, or KMS gave the same outcome to the same principal, in the same session where both tell it, through that service within five seconds, for what may be the same action and key. Where several of KMS's records fit, it is the nearest.
-- column: kms_event_id : the id of KMS's record
-- column: event_id : the id of the service's record
-- column: service : the service, by its short name
-- column: how : `request_id` where the message names KMS's request, else `time`
-- column: outcome : how both calls ended
-- column: key_arn : the key that the service's record names
SELECT kms_event_id, event_id, service, how, outcome, key_arn
FROM (
    SELECT kms_event_id, event_id, service, how, outcome, key_arn,
           row_number() OVER (PARTITION BY event_id, recipient_account_id, principal_id
                              ORDER BY how, distance, kms_time, kms_event_id) AS place
    FROM (
        SELECT k.event_id AS kms_event_id, k.event_time AS kms_time, e.event_id, e.recipient_account_id, e.principal_id,
               e.outcome, e.key_arn, split_part(e.event_source, '.', 1) AS service,
               CASE WHEN strpos(e.error_message, k.request_id) > 0 THEN 'request_id' ELSE 'time' END AS how,
               abs(date_part('epoch', e.event_time) - date_part('epoch', k.event_time)) AS distance
        FROM event_companions k
        JOIN (SELECT * FROM handed_on_errors WHERE principal_id IS NOT NULL) e
            ON k.principal_id = e.principal_id AND k.aws_region = e.aws_region AND k.outcome = e.outcome
        WHERE k.operation_class IS NOT NULL AND k.outcome <> 'success' AND k.caller_class <> 'direct'
          AND coalesce(k.via_service, split_part(e.event_source, '.', 1)) = split_part(e.event_source, '.', 1)
          AND coalesce(e.session_created = k.session_created, true)
          AND (strpos(e.error_message, k.request_id) > 0
               OR (k.event_time BETWEEN e.event_time - INTERVAL '5 seconds' AND e.event_time + INTERVAL '5 seconds'
                   AND coalesce(e.denied_action = coalesce(k.denied_action, concat('kms:', k.event_name)), true)
                   AND coalesce(e.key_arn = coalesce(k.key_arn, k.source_key_arn), true)))))
WHERE place = 1
