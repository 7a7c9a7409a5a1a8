-- Refused calls that concern KMS. Another service's record of a refusal that KMS logged itself is left out.
SELECT e.*
FROM calls e
WHERE e.outcome = 'denied' AND (e.operation_class IS NOT NULL OR starts_with(e.denied_action, 'kms:'))
  AND NOT EXISTS (
    SELECT 1 FROM event_companions k
    WHERE e.operation_class IS NULL AND k.operation_class IS NOT NULL AND k.outcome = 'denied'
      AND k.principal = e.principal
      AND k.event_time BETWEEN e.event_time - INTERVAL '5 seconds' AND e.event_time + INTERVAL '5 seconds')
