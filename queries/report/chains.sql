-- title: Who got in after a refusal
-- none: Nobody who was refused was seen to get in later.
-- rest: keytrail query who-got-in
-- narrows: access_chains
SELECT c.principal, c.key_arn, c.operation, c.table_name, c.denied_count, c.denied_unnamed, c.first_denied, c.last_denied,
       c.denial_reason, e.denial_effect, c.change_event_name, c.change_event_id, c.changed_at, c.changed_by,
       c.changed_by_self, c.changer_person, c.subject_person, cardinality(c.other_changes) AS other_changes, c.lag_seconds,
       c.first_allowed, c.denied_event_id, c.allowed_event_id, c.first_data_event_id, c.evidence, c.basis, c.bad_hours,
       CASE WHEN d.described_since < c.first_allowed THEN d.described_since END AS described_since,
       count(*) OVER () AS of_all
FROM (
    SELECT principal, table_name, split_part(table_arn, ':', 5) AS account_id, aws_region, min(event_time) AS described_since
    FROM table_calls
    WHERE event_source = 'dynamodb.amazonaws.com' AND event_name = 'DescribeTable' AND outcome = 'success'
    GROUP BY principal, table_name, split_part(table_arn, ':', 5), aws_region) d
RIGHT JOIN access_chains c
    -- A table and its key are in one Region, and accounts may each have a table of this name.
    ON d.principal = c.principal AND d.table_name = c.table_name AND d.account_id = split_part(c.key_arn, ':', 5)
       AND d.aws_region = split_part(c.key_arn, ':', 4)
LEFT JOIN (SELECT event_id, max(denial_effect) AS denial_effect FROM denial_facts GROUP BY event_id) e
    ON e.event_id = c.denied_event_id
-- What a change explains comes first, then what is newest.
ORDER BY c.change_event_id IS NULL, c.first_allowed DESC, c.allowed_event_id, c.principal, c.key_arn, c.operation
LIMIT 24
