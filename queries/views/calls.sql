-- One row per call: `events` without what tells of the same call twice.
SELECT e.*
FROM events e
WHERE NOT EXISTS (
    -- The owner's copy of a cross-account call, where the caller's copy is here.
    SELECT 1 FROM events c
    WHERE c.account_side = 'caller' AND e.account_side = 'owner'
      AND c.call_id = e.call_id AND c.event_name = e.event_name AND c.recipient_account_id <> e.recipient_account_id)
  AND NOT EXISTS (
    -- A record that a later one corrects.
    SELECT 1 FROM events r
    WHERE r.revises_event_id IS NOT NULL AND r.revises_event_id = e.event_id)
  AND NOT EXISTS (
    -- The endpoint's record of a call that the service logged as well.
    SELECT 1 FROM events m
    WHERE e.event_category = 'NetworkActivity' AND m.event_category = 'Management' AND m.vpc_endpoint_id IS NOT NULL
      AND m.request_id = e.request_id)
