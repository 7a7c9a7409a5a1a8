-- title: The use of keys before the interval
-- row: principal × key × account × VPC endpoint
-- description: What was usual before: the successful uses of keys from before the begin of the interval that are there, in a store's history or as far as `--baseline` reads. Without an interval, or without history, it has no rows.
-- column: account_id : the account whose logs have the uses
-- column: first_seen : the first use before the interval
-- column: last_seen : the last
-- column: calls : how many
-- column: days_covered : days before the interval on which the logs of the account have a call of KMS, used or refused
SELECT principal, key_arn, coalesce(recipient_account_id, principal_account_id) AS account_id, vpc_endpoint_id, event_time,
       operation_class = 'crypto' AND outcome = 'success' AS is_use
FROM key_calls
WHERE operation_class IS NOT NULL AND NOT in_interval(event_time)
