-- title: A principal's first use of a key followed a change of its tags
-- severity: medium
-- why: Policies may decide by tags, so whoever may tag a key may let somebody in without touching a policy. Whether a policy does so here, the logs do not tell.
-- controls: NIST AC-3
-- controls: NIST AC-6
-- attack: T1098 Account Manipulation
-- false-positives: Tags for costs and owners that have nothing to do with a program's first start. Without a refusal before it, the row is only `possible` (low).
-- next: `keytrail trace KEY`, and look for aws:ResourceTag in its policy and in the principal's.
-- next: Ask whoever set the tag what it is for.
-- set: default
-- needs: kms_reads
-- needs: kms_writes
WITH tagged AS (
    SELECT key_arn, event_time, event_id, event_name, principal,
           array_to_string(coalesce(json_get_list(request_parameters, 'tags', '*', 'tagKey'),
                                    json_get_list(request_parameters, 'tagKeys')), ', ') AS tags
    FROM key_calls
    WHERE operation_class = 'policy' AND event_name IN ('TagResource', 'UntagResource') AND outcome = 'success'
      AND key_arn IS NOT NULL),
used AS (
    SELECT *, min(first_use) OVER (PARTITION BY key_arn) AS key_first_use
    FROM (
        SELECT key_arn, principal, min(first_seen) AS first_use,
               first_value(first_event_id ORDER BY first_seen, first_event_id) AS event_id,
               first_value(first_session_arn ORDER BY first_seen, first_event_id) AS session_arn,
               first_value(first_source_ip ORDER BY first_seen, first_event_id) AS source_ip_address,
               first_value(table_name ORDER BY first_seen, first_event_id) AS table_name
        FROM key_use_groups
        WHERE caller_class <> 'service' AND key_arn IN (SELECT key_arn FROM tagged)
        GROUP BY key_arn, principal)),
refused AS (
    SELECT key_arn, principal, min(event_time) AS first_refused, first_value(event_id ORDER BY event_time, event_id) AS event_id
    FROM refusals
    WHERE operation_class = 'crypto' AND key_arn IS NOT NULL
    GROUP BY key_arn, principal)
SELECT u.first_use AS event_time, split_part(u.key_arn, ':', 5) AS account_id, split_part(u.key_arn, ':', 4) AS region,
       u.principal, array_compact(make_array(u.session_arn)) AS sessions,
       array_compact(make_array(u.source_ip_address)) AS source_ips, u.key_arn, u.table_name, 'success' AS outcome,
       array_compact(make_array(r.event_id, t.event_id, u.event_id)) AS event_ids,
       concat(CASE WHEN r.event_id IS NULL THEN 'possible: ' ELSE 'refused before, ' END, 'first use ',
              CAST(date_part('epoch', u.first_use - t.event_time) / 60 AS BIGINT), ' min after ', t.event_name, ' (', t.tags,
              ') by ', t.principal) AS detail,
       CASE WHEN r.event_id IS NULL THEN 'low' ELSE 'medium' END AS severity
FROM (
    -- Of several changes the last before the use.
    SELECT u.*, t.event_id AS tag_event_id,
           row_number() OVER (PARTITION BY u.key_arn, u.principal ORDER BY t.event_time DESC, t.event_id) AS place
    FROM used u
    JOIN tagged t ON t.key_arn = u.key_arn AND u.first_use > t.event_time AND u.first_use <= t.event_time + INTERVAL '24' HOUR) u
JOIN tagged t ON t.event_id = u.tag_event_id AND u.place = 1
LEFT JOIN refused r ON r.key_arn = u.key_arn AND r.principal = u.principal AND r.first_refused < t.event_time
-- A key that nobody used a day before is new, or its log begins here.
WHERE r.event_id IS NOT NULL OR u.key_first_use < t.event_time - INTERVAL '24' HOUR
