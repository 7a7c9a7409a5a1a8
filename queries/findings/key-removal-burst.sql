-- title: Three or more keys were taken out of use within an hour
-- severity: high
-- why: Whoever holds data to ransom, or destroys it, takes many keys at once. Administrators rarely do.
-- controls: PCI DSS 3.7.5
-- controls: NIST SC-12
-- controls: CIS AWS 4.7
-- attack: T1485 Data Destruction
-- attack: T1486 Data Encrypted for Impact
-- false-positives: Tearing down a stack or an account deletes all of its keys; the role of CloudFormation, Terraform or a cleaner does so by design.
-- next: `keytrail trace PRINCIPAL` shows what else it did then; revoke its sessions if nobody knows of it.
-- next: `aws kms cancel-key-deletion` and `aws kms enable-key` bring the keys back until their waiting periods end.
-- set: default
-- needs: kms_writes
WITH removals AS (
    -- A key that is taken twice within an hour counts once, and so do the Regions of a multi-Region key.
    SELECT *, lag(event_time) OVER (PARTITION BY principal, key_family ORDER BY event_time, event_id) AS key_before
    FROM calls
    WHERE operation_class = 'lifecycle' AND outcome = 'success' AND key_arn IS NOT NULL
      AND event_name IN ('ScheduleKeyDeletion', 'DisableKey', 'DeleteImportedKeyMaterial')),
ordered AS (
    SELECT *, lag(event_time, 2) OVER times AS before_2, lag(event_time) OVER times AS before_1,
           lead(event_time) OVER times AS after_1, lead(event_time, 2) OVER times AS after_2
    FROM removals
    WHERE key_before IS NULL OR event_time > key_before + INTERVAL '1 hour'
    WINDOW times AS (PARTITION BY principal ORDER BY event_time, event_id)),
crowded AS (
    SELECT *, lag(event_time) OVER (PARTITION BY principal ORDER BY event_time, event_id) AS crowded_before
    FROM ordered
    WHERE event_time <= before_2 + INTERVAL '1 hour' OR after_1 <= before_1 + INTERVAL '1 hour'
       OR after_2 <= event_time + INTERVAL '1 hour'),
bursts AS (
    SELECT *, sum(CASE WHEN event_time <= crowded_before + INTERVAL '1 hour' THEN 0 ELSE 1 END)
                  OVER (PARTITION BY principal ORDER BY event_time, event_id) AS burst
    FROM crowded)
SELECT min(event_time) AS event_time, min(key_account_id) AS account_id,
       CASE WHEN min(key_region) = max(key_region) THEN min(key_region) END AS region, principal,
       array_compact(array_agg(DISTINCT session_arn ORDER BY session_arn)) AS sessions,
       array_compact(array_agg(DISTINCT source_ip_address ORDER BY source_ip_address)) AS source_ips,
       arrow_cast(NULL, 'Utf8') AS key_arn, arrow_cast(NULL, 'Utf8') AS table_name, 'success' AS outcome,
       array_slice(array_agg(event_id ORDER BY event_time, event_id), 1, 20) AS event_ids,
       concat(count(DISTINCT key_family), ' keys taken out of use, three or more of them within an hour: ',
              array_to_string(array_agg(DISTINCT event_name ORDER BY event_name), ', ')) AS detail,
       count(*) AS event_count, max(event_time) AS last_time
FROM bursts
GROUP BY principal, burst
