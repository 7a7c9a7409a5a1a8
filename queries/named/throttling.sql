-- title: Throttled KMS calls by account
-- description: Calls that KMS refused because of their rate or a quota. AWS does not log all of them.
SELECT recipient_account_id, aws_region, event_name, error_code, principal, count(*) AS calls,
       min(event_time) AS first_seen, max(event_time) AS last_seen
FROM failures
WHERE outcome = 'throttled'
GROUP BY recipient_account_id, aws_region, event_name, error_code, principal
ORDER BY recipient_account_id, aws_region, event_name, error_code, principal
