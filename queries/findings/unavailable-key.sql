-- title: Use of a key that is disabled or unavailable
-- severity: medium
-- why: Somebody still needs the key: worth knowing before a deletion becomes final.
SELECT event_time, principal, key_arn, call_id, 'use of a key that is disabled or unavailable' AS detail
FROM key_calls
WHERE outcome = 'key_unavailable' AND (operation_class = 'crypto' OR (event_name = 'CreateGrant' AND caller_class <> 'direct'))
  -- Of the two keys of a ReEncrypt the message names the one.
  AND (key_role = 'only' OR strpos(error_message, key_id) > 0 OR coalesce(strpos(error_message, ':key/'), 0) = 0)
UNION ALL
SELECT event_time, principal, key_arn, call_id, 'use of a key that is disabled or unavailable' AS detail
FROM failures
WHERE outcome = 'key_unavailable' AND operation_class IS NULL
