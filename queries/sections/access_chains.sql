-- title: Who got in after a refusal
-- none: Nobody who was refused was seen to get in later.
-- place: 4
-- sentence: {principal} was refused {operation} on {key_arn}: {denied_count:time}[ and {denied_unnamed:time} without a key], last {last_denied}[; {changed_by} called {change_event_name} {changed_at}][, {changer_person} behind it]; allowed {first_allowed} ({evidence}).
-- description: A run of refusals that a success ended, and the change that could have cured the reason. A sequence, not a cause: `shown`, `possible` or `unexplained`, as docs/views.md has them.
SELECT * FROM access_chains ORDER BY first_allowed, allowed_event_id, principal, key_arn, operation
