-- title: Other services' own records of refusals that KMS logged as well
-- row: record of a service that tells of the refusal in KMS's record
-- description: The two are one refusal, which `denials` has once, as KMS logged it.
SELECT kms_event_id, event_id, service, how FROM error_echoes WHERE outcome = 'denied'
