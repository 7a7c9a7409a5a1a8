-- title: The hours in which keys were used
-- row: account × Region × hour
-- column: account_id : the account whose trail logged the uses
-- column: region : where it logged them
-- column: hour : its beginning
-- column: calls : successful uses of keys, of a ReEncrypt one for each of its keys
-- column: first_event_id : of the first of them
-- column: last_event_id : of the last of them
SELECT recipient_account_id AS account_id, aws_region AS region, date_trunc('hour', event_time) AS hour, count(*) AS calls,
       first_value(event_id ORDER BY event_time, event_id) AS first_event_id,
       last_value(event_id ORDER BY event_time, event_id) AS last_event_id
FROM key_use
GROUP BY recipient_account_id, aws_region, date_trunc('hour', event_time)
