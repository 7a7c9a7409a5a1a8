SELECT principal, count(*) AS calls FROM key_use WHERE event_time >= '2026-03-12T00:00:00Z' GROUP BY principal
