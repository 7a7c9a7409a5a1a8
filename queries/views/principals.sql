-- Every principal that called KMS or had KMS called for it.
SELECT principal, split_part(principal_id, ':', 1) AS principal_id, min(principal_type) AS principal_type,
       min(principal_account_id) AS principal_account_id, count(*) AS calls,
       count(*) FILTER (WHERE outcome = 'denied') AS denied, count(DISTINCT key_arn) AS keys,
       count(DISTINCT table_arn) AS tables, min(event_time) AS first_seen, max(event_time) AS last_seen
FROM calls
WHERE operation_class IS NOT NULL
GROUP BY principal, split_part(principal_id, ':', 1)
