-- title: Attempted use of disabled, pending or unavailable keys
-- description: Somebody still needs these keys: worth knowing before a deletion becomes final.
-- severity: medium
SELECT event_time, principal, event_name, key_arn, error_code, error_message, via_service, event_id
FROM key_attempts
WHERE outcome = 'key_unavailable'
ORDER BY event_time, event_id
