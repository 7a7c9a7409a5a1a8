-- title: Who got in after a refusal
-- none: Nobody who was refused was seen to get in later.
-- place: 4
-- sentence: {principal} was refused {operation} on {key_arn}: {denied_count:time}[ and {denied_unnamed:time} without a key], last {last_denied}[; it could describe {table_name}, since {described_since}][; {changed_by} called {change_event_name} {changed_at}][, {changer_person} behind it]; allowed {first_allowed} ({evidence}[; {caveat}]).
-- description: A run of refusals that a success ended, and the change that could have cured the reason. A sequence, not a cause: `shown`, `possible` or `unexplained`, as docs/views.md has them. `described_since` is the principal's first DescribeTable of that table that succeeded, where it was before the success.
SELECT c.*, CASE WHEN d.described_since < c.first_allowed THEN d.described_since END AS described_since,
       CASE WHEN c.bad_hours IS NULL THEN 'what could not be read may be of any hour between'
            WHEN c.bad_hours = 1 THEN 'the logs of 1 hour between are not whole'
            WHEN c.bad_hours > 0 THEN concat('the logs of ', c.bad_hours, ' hours between are not whole') END AS caveat
FROM (
    SELECT principal, table_name, split_part(table_arn, ':', 5) AS account_id, aws_region, min(event_time) AS described_since
    FROM table_calls
    WHERE event_source = 'dynamodb.amazonaws.com' AND event_name = 'DescribeTable' AND outcome = 'success'
    GROUP BY principal, table_name, split_part(table_arn, ':', 5), aws_region) d
RIGHT JOIN access_chains c
    -- A table and its key are in one Region, and accounts may each have a table of this name.
    ON d.principal = c.principal AND d.table_name = c.table_name AND d.account_id = split_part(c.key_arn, ':', 5)
       AND d.aws_region = split_part(c.key_arn, ':', 4)
ORDER BY c.first_allowed, c.allowed_event_id, c.principal, c.key_arn, c.operation
