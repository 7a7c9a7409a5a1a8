-- The copies of every cross-account call, one row each.
SELECT call_id, event_id, account_side, recipient_account_id, event_time, event_name, principal, key_arn, outcome
FROM events
WHERE account_side IN ('caller', 'owner') AND shared_event_id IS NOT NULL
