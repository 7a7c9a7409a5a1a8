-- title: The copies of every cross-account call
-- row: copy of a cross-account call
-- description: Copies are listed also where only one of them is here; records that a later one corrects are left out.
SELECT e.call_id, e.event_id, e.account_side, e.recipient_account_id, e.event_time, e.event_name, e.principal, e.key_arn,
       e.outcome
FROM corrections r
RIGHT ANTI JOIN (
    SELECT * FROM events WHERE shared_event_id IS NOT NULL AND account_side IN ('caller', 'owner')
    UNION ALL
    -- Those that name no side, as of services, are copies where several accounts have one.
    SELECT e.*
    FROM (
        SELECT shared_event_id, event_name
        FROM event_companions
        WHERE shared_event_id IS NOT NULL AND recipient_account_id IS NOT NULL
        GROUP BY shared_event_id, event_name
        HAVING min(recipient_account_id) <> max(recipient_account_id)) c
    RIGHT SEMI JOIN (
        SELECT * FROM events WHERE shared_event_id IS NOT NULL AND coalesce(account_side, 'same') = 'same') e
    ON c.shared_event_id = e.shared_event_id AND c.event_name = e.event_name) e
-- A correction may have the id of what it corrects, and stays.
ON r.event_id = e.event_id AND (r.corrected_by <> e.event_id OR e.revises_event_id IS DISTINCT FROM e.event_id)
