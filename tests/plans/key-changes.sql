SELECT event_time, change, changed_by FROM key_changes WHERE event_time >= '2026-03-12T00:00:00Z'
