-- title: What the rules found, whoever has looked at it
-- row: rule × principal × key × table × subject
-- description: The rows of all rules that ran, put together. `findings` says of each also if it is suppressed.
-- column: fingerprint : SHA-256 of `["rule","principal","key_arn","table_name","subject"]`, NULL as `null`; no time enters it, so it is the same in every run
-- column: rule : the file of `queries/findings`, or of `--rules`
-- column: severity : `critical`, `high`, `medium`, `low` or `info`; the gravest of its rows
-- column: event_time : the first event
-- column: last_time : the last event
-- column: event_count : events that the rule counted
-- column: account_id : the account that it concerns
-- column: region : the Region of the first event
-- column: sessions : names of sessions, at most 50; `and more` where there are more
-- column: source_ips : addresses, at most 50; `and more` where there are more
-- column: subject : what it is about, where that is neither principal, key nor table
-- column: outcome : of the gravest row
-- column: event_ids : the first 20 events, in the order of time; `event_count` tells of how many
-- column: detail : the rule's words on the gravest row, the last of several
SELECT rule, severity, event_time, last_time, event_count, account_id, region, principal, sessions, source_ips, key_arn,
       table_name, subject, outcome, event_ids, detail
FROM rule_rows
