-- title: Every call once, whatever the service
-- row: call
-- description: `events` without what tells of the same call twice. Of ReEncrypt it has the destination's side; `key_calls` has both.
SELECT * EXCLUDE (key_role) FROM key_calls WHERE key_role <> 'source'
