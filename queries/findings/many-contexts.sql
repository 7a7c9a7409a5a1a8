-- title: A principal decrypted far more different things in an hour than it does otherwise
-- severity: high
-- why: Programs open what they need. Whoever goes through all secrets, parameters or objects within an hour is collecting.
-- controls: NIST SI-4
-- controls: NIST AC-6
-- attack: T1555.006 Credentials from Password Stores: Cloud Secrets Management Stores
-- false-positives: Backups, migrations and restores, and a first deployment that reads every parameter. Whoever downloads CloudTrail's own logs decrypts each file: these contexts are left out.
-- next: `keytrail query use-by-hour`, `keytrail trace PRINCIPAL`.
-- next: Ask the principal's owner what ran in that hour.
-- set: baseline
-- needs: kms_reads
-- needs: baseline
WITH hours AS (
    SELECT principal, date_trunc('hour', event_time) AS hour, count(DISTINCT context) AS contexts, count(*) AS calls,
           min(event_time) AS first_seen, max(event_time) AS last_seen, min(account_id) AS account_id, min(region) AS region,
           CASE WHEN min(key_arn) = max(key_arn) THEN min(key_arn) END AS key_arn, count(DISTINCT key_arn) AS keys,
           min(event_id) AS any_event_id, min(session_arn) AS session_arn, min(source_ip_address) AS source_ip_address
    FROM (
        SELECT principal, event_time, event_id, key_arn, session_arn, source_ip_address, key_account_id AS account_id,
               coalesce(key_region, aws_region) AS region,
               array_to_string(map_values(encryption_context), ' ') AS context
        FROM key_use
        WHERE event_name IN ('Decrypt', 'ReEncrypt') AND key_role <> 'destination' AND caller_class <> 'service'
          AND cardinality(encryption_context) > 0 AND resource_service IS DISTINCT FROM 'cloudtrail')
    GROUP BY principal, date_trunc('hour', event_time)),
judged AS (
    -- What the principal's other hours before this one say of it; of them few are as busy as this.
    SELECT h.principal, h.hour, h.contexts, count(o.hour) AS own_hours,
           coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY o.contexts), 0) AS usual
    FROM (SELECT * FROM hours WHERE contexts > 20) h
    LEFT JOIN hours o ON o.principal = h.principal AND o.hour < h.hour
    GROUP BY h.principal, h.hour, h.contexts)
SELECT h.first_seen AS event_time, h.account_id, h.region, h.principal, array_compact(make_array(h.session_arn)) AS sessions,
       array_compact(make_array(h.source_ip_address)) AS source_ips, h.key_arn, arrow_cast(NULL, 'Utf8') AS table_name,
       'success' AS outcome, make_array(h.any_event_id) AS event_ids,
       concat(h.contexts, ' different contexts in an hour, under ', h.keys, CASE WHEN h.keys = 1 THEN ' key' ELSE ' keys' END,
              CASE WHEN j.own_hours >= 24 THEN concat('; otherwise at most ', CAST(j.usual AS BIGINT), ' in 99 of 100 hours')
                   ELSE '; the principal has no history' END) AS detail,
       h.calls AS event_count, h.last_seen AS last_time
FROM judged j
JOIN hours h ON h.principal = j.principal AND h.hour = j.hour
WHERE j.contexts > 5 * j.usual
  -- A day of hours of its own, or a history of its account that does not know it.
  AND (j.own_hours >= 24
       OR (NOT EXISTS (SELECT 1 FROM baseline b WHERE b.principal = j.principal)
           AND EXISTS (SELECT 1 FROM baseline b WHERE b.account_id = h.account_id AND b.days_covered >= 7)))
