-- title: The rotation of a key was switched off
-- severity: low
-- why: Without rotation all that is written from now on is under one generation of material, for as long as the key lives.
-- controls: CIS AWS 3.6
-- controls: FSBP KMS.4
-- controls: PCI DSS 3.7.4
-- controls: NIST SC-12
-- attack: T1562 Impair Defenses
-- false-positives: Keys that are rotated by hand or on demand instead.
-- next: `keytrail query key-history -p key=KEY`, then switch it on again.
-- next: Ask the key's owner how it is rotated now.
-- set: default
-- needs: kms_writes
SELECT c.event_time, c.key_account_id AS account_id, coalesce(c.key_region, c.aws_region) AS region, c.principal,
       array_compact(make_array(c.session_arn)) AS sessions, array_compact(make_array(c.source_ip_address)) AS source_ips,
       c.key_arn, arrow_cast(NULL, 'Utf8') AS table_name, c.outcome, make_array(c.event_id) AS event_ids,
       concat('rotation was switched off', CASE WHEN c.next_on IS NOT NULL THEN concat(', and on again after ',
              CAST(date_part('epoch', c.next_on - c.event_time) / 60 AS BIGINT), ' min') END) AS detail,
       CASE WHEN c.next_on IS NOT NULL THEN 'info' ELSE 'low' END AS severity
FROM (
    SELECT *, min(CASE WHEN event_name = 'EnableKeyRotation' THEN event_time END)
                  OVER (PARTITION BY key_arn ORDER BY event_time, event_id
                        ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS next_on
    FROM key_calls
    WHERE operation_class = 'lifecycle' AND event_name IN ('EnableKeyRotation', 'DisableKeyRotation') AND outcome = 'success') c
WHERE c.event_name = 'DisableKeyRotation'
