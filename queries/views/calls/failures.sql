-- title: Calls that KMS failed, whatever the reason
-- row: KMS call with any outcome but `success`, or another service's call that failed because of KMS
-- description: A service's own record of an error that KMS logged too is left out.
SELECT f.*
FROM (SELECT event_id FROM error_echoes) d
RIGHT ANTI JOIN (SELECT * FROM kms_errors) f ON d.event_id = f.event_id
