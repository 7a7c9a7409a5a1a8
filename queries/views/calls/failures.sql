-- title: Calls that KMS failed, whatever the reason
-- row: KMS call with any outcome but `success`, or another service's call that failed because of KMS
-- description: A service's own record of an error that KMS logged too is left out.
SELECT * FROM calls WHERE operation_class IS NOT NULL AND outcome <> 'success'
UNION ALL
SELECT h.*
FROM (SELECT event_id FROM error_echoes) d
RIGHT ANTI JOIN (SELECT * FROM handed_on_errors) h ON d.event_id = h.event_id
