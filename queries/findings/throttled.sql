-- title: Throttled KMS calls
-- severity: low
-- why: A rate or quota of KMS was reached; what could not call in time may have failed.
SELECT event_time, principal, key_arn, call_id, 'throttled' AS detail
FROM key_calls
WHERE operation_class IS NOT NULL AND outcome = 'throttled'
