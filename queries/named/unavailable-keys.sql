-- title: Attempted use of disabled, pending or unavailable keys
-- description: Somebody still needs these keys: worth knowing before a deletion becomes final. Of the two keys of a ReEncrypt it is the one that the message names. A service makes a grant for a use to come. Other services' records stand where KMS logged none.
-- severity: medium
SELECT event_time, principal, event_name, key_arn, error_code, error_message, via_service, event_id
FROM (
    SELECT event_time, principal, event_name, key_arn, error_code, error_message, via_service, event_id, key_role, object_uri,
           record_index
    FROM key_calls
    WHERE outcome = 'key_unavailable' AND (operation_class = 'crypto' OR (event_name = 'CreateGrant' AND caller_class <> 'direct'))
      AND (key_role = 'only' OR strpos(error_message, key_id) > 0 OR coalesce(strpos(error_message, ':key/'), 0) = 0)
    UNION ALL
    SELECT event_time, principal, event_name, key_arn, error_code, error_message, via_service, event_id, 'only', object_uri,
           record_index
    FROM failures
    WHERE outcome = 'key_unavailable' AND operation_class IS NULL)
ORDER BY event_time, event_id, key_role, object_uri, record_index
