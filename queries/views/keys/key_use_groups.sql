-- title: The uses of keys, summed up by who, on what and how
-- row: principal × key × operation × the ways in which its calls differ
-- description: For questions about all uses: a row stands for many calls, and has the first and the last of them.
-- column: region : the key's, else that of the call
-- column: has_context : true where the calls had an encryption context
-- column: calls : successful uses of the key; a ReEncrypt counts once for each of its keys
-- column: first_seen : the first of these calls
-- column: last_seen : the last of these calls
-- column: first_event_id : of the first call
-- column: last_event_id : of the last call
-- column: first_session_arn : of the first call
-- column: first_source_ip : the address of the first call
SELECT principal, principal_account_id, key_arn, coalesce(key_region, aws_region) AS region, event_name, key_role, caller_class,
       via_service, table_name, encryption_algorithm, coalesce(cardinality(encryption_context), 0) > 0 AS has_context,
       count(*) AS calls, min(event_time) AS first_seen, max(event_time) AS last_seen,
       first_value(event_id ORDER BY event_time, event_id) AS first_event_id,
       last_value(event_id ORDER BY event_time, event_id) AS last_event_id,
       first_value(session_arn ORDER BY event_time, event_id) AS first_session_arn,
       first_value(source_ip_address ORDER BY event_time, event_id) AS first_source_ip
FROM key_use
GROUP BY principal, principal_account_id, key_arn, coalesce(key_region, aws_region), event_name, key_role, caller_class,
         via_service, table_name, encryption_algorithm, coalesce(cardinality(encryption_context), 0) > 0
