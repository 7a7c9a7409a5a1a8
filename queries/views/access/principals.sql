-- title: Every principal that called KMS or had KMS called for it
-- row: principal × principal_id
-- column: principal_id : the unique id, of a role without its session's name
-- column: calls : calls to KMS
-- column: denied : refused calls to KMS
-- column: keys : different keys in these calls
-- column: tables : different tables in these calls
-- column: first_seen : the first of these calls
-- column: last_seen : the last of these calls
SELECT principal, id AS principal_id, min(principal_type) AS principal_type, min(principal_account_id) AS principal_account_id,
       count(*) FILTER (WHERE key_role <> 'source') AS calls,
       count(*) FILTER (WHERE key_role <> 'source' AND outcome = 'denied') AS denied,
       count(DISTINCT key_arn) AS keys, count(DISTINCT table_arn) AS tables, min(event_time) AS first_seen, max(event_time) AS last_seen
FROM (
    SELECT *, CASE WHEN principal_type IN ('AssumedRole', 'AWSAccount') THEN split_part(principal_id, ':', 1)
                   ELSE principal_id END AS id
    FROM key_calls
    WHERE operation_class IS NOT NULL)
GROUP BY principal, id
