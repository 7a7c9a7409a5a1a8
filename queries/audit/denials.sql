-- Refusals by principal and key, what changed the key after the last of them, and when the principal first got in.
WITH refused AS (
    SELECT principal, key_arn, event_name, denial_reason, denial_effect, count(*) AS denied,
           min(event_time) AS first_denied, max(event_time) AS last_denied
    FROM denials
    GROUP BY principal, key_arn, event_name, denial_reason, denial_effect),
allowed AS (
    SELECT r.principal, r.key_arn, r.event_name, r.last_denied, min(u.event_time) AS first_allowed
    FROM refused r JOIN key_use u ON u.principal = r.principal AND u.key_arn = r.key_arn AND u.event_time > r.last_denied
    GROUP BY r.principal, r.key_arn, r.event_name, r.last_denied),
changed AS (
    SELECT a.principal, a.key_arn, a.event_name, a.last_denied,
           last_value(c.event_name ORDER BY c.event_time, c.event_id) AS change,
           last_value(c.principal ORDER BY c.event_time, c.event_id) AS changed_by, max(c.event_time) AS changed_at
    FROM allowed a JOIN key_changes c ON c.key_arn = a.key_arn AND c.outcome = 'success'
        AND c.operation_class IN ('policy', 'grant') AND c.event_time > a.last_denied AND c.event_time <= a.first_allowed
    GROUP BY a.principal, a.key_arn, a.event_name, a.last_denied)
SELECT r.principal, r.event_name, r.key_arn, r.denial_reason, r.denial_effect, r.denied, r.first_denied, r.last_denied,
       c.change AS key_change_between, c.changed_by, c.changed_at, a.first_allowed AS first_success_after
FROM refused r
LEFT JOIN allowed a ON a.principal = r.principal AND a.key_arn = r.key_arn AND a.event_name = r.event_name AND a.last_denied = r.last_denied
LEFT JOIN changed c ON c.principal = r.principal AND c.key_arn = r.key_arn AND c.event_name = r.event_name AND c.last_denied = r.last_denied
ORDER BY r.denied DESC, r.principal, r.event_name, r.key_arn, r.denial_reason, r.denial_effect, r.first_denied
