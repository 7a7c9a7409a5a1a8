-- title: Refused calls that concern KMS
-- row: refused call
-- description: Of a refusal that KMS logged, DynamoDB's own record is left out; other services' stay.
SELECT e.*
FROM calls e
WHERE e.outcome = 'denied'
  AND (e.operation_class IS NOT NULL OR starts_with(e.denied_action, 'kms:')
       OR (e.event_source = 'dynamodb.amazonaws.com' AND starts_with(ltrim(e.error_message), 'KMS ')))
  AND NOT EXISTS (
    -- The same refusal: its request is named, or at about the same time DynamoDB was refused the same action on what may
    -- be the same key.
    SELECT 1 FROM event_companions k
    WHERE e.event_source = 'dynamodb.amazonaws.com' AND k.operation_class IS NOT NULL AND k.outcome = 'denied'
      AND k.caller_class <> 'direct' AND coalesce(k.via_service, 'dynamodb') = 'dynamodb'
      AND k.principal = e.principal AND k.aws_region = e.aws_region
      AND (strpos(e.error_message, k.request_id) > 0
           OR (k.event_time BETWEEN e.event_time - INTERVAL '5 seconds' AND e.event_time + INTERVAL '5 seconds'
               AND coalesce(e.denied_action = coalesce(k.denied_action, concat('kms:', k.event_name)), true)
               AND coalesce(e.key_arn = coalesce(k.key_arn, k.source_key_arn), true))))
