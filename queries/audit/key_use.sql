SELECT key_arn, principal, coalesce(via_service, caller_class) AS via, count(*) AS calls,
       min(event_time) AS first_seen, max(event_time) AS last_seen
FROM key_use
-- A ReEncrypt from a key to itself is one use of it.
WHERE key_arn IS NOT NULL AND (key_role <> 'destination' OR source_key_arn IS DISTINCT FROM key_arn)
GROUP BY key_arn, principal, coalesce(via_service, caller_class)
ORDER BY calls DESC, key_arn, principal, via
