SELECT key_arn, principal, coalesce(via_service, caller_class) AS via, count(*) AS calls,
       min(event_time) AS first_seen, max(event_time) AS last_seen
FROM key_use
WHERE key_arn IS NOT NULL
GROUP BY key_arn, principal, coalesce(via_service, caller_class)
ORDER BY calls DESC, key_arn, principal, via
