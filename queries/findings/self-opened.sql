-- title: A refused principal changed access and was let in
-- severity: high
-- why: Whoever is refused and then gives himself the right was not meant to have it, or nobody else looked at the change.
-- controls: NIST AC-5
-- controls: PCI DSS 7.2.3
-- attack: T1548 Abuse Elevation Control Mechanism
-- false-positives: An administrator who sets up a key and tries it. A pipeline whose role both deploys policies and uses what it deploys. `possible`: something of the sequence is not in the logs, or the change need not be what let the principal in.
-- next: `keytrail query who-got-in`, `keytrail trace KEY`.
-- next: Ask for the approval of the change.
-- set: default
-- needs: kms_reads
-- needs: kms_writes
-- needs: iam
SELECT a.changed_at AS event_time, split_part(a.key_arn, ':', 5) AS account_id, split_part(a.key_arn, ':', 4) AS region,
       a.principal, array_compact(make_array(c.session_arn)) AS sessions,
       array_compact(make_array(c.source_ip_address)) AS source_ips, a.key_arn, a.table_name, 'success' AS outcome,
       array_compact(make_array(a.denied_event_id, a.change_event_id, a.allowed_event_id)) AS event_ids,
       concat(CASE a.evidence WHEN 'shown' THEN '' ELSE 'possible: ' END, 'refused ', a.operation, ', then ',
              a.change_event_name, ' by ', CASE a.changed_by_self WHEN 'principal' THEN 'the same principal'
              ELSE concat('the same person as ', a.changed_by) END, ', then let in') AS detail,
       CASE a.evidence WHEN 'shown' THEN 'high' ELSE 'medium' END AS severity,
       CAST(a.denied_count + a.denied_unnamed + 2 AS BIGINT) AS event_count, a.first_allowed AS last_time
FROM access_chains a
LEFT JOIN access_change_calls c ON c.event_id = a.change_event_id
WHERE a.changed_by_self IS NOT NULL
