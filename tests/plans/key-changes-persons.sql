SELECT event_time, person FROM key_changes
