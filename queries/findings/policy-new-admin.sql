-- title: A key policy lets more principals administer the key
-- severity: medium
-- why: PutKeyPolicy, CreateGrant and ScheduleKeyDeletion are ways to everything else: to let oneself in, to let others in, to destroy. Low where only the account itself is new, as its own policies decide then.
-- controls: PCI DSS 3.7.6
-- controls: NIST AC-6
-- attack: T1098 Account Manipulation
-- false-positives: A new team or deployment role takes over the key.
-- next: `keytrail query key-policy-versions -p key=KEY` shows the change; ask who approved the new administrators.
-- set: default
-- needs: kms_writes
SELECT c.event_time, split_part(p.key_arn, ':', 5) AS account_id, split_part(p.key_arn, ':', 4) AS region, c.principal,
       array_compact(make_array(c.session_arn)) AS sessions, array_compact(make_array(c.source_ip_address)) AS source_ips,
       p.key_arn, arrow_cast(NULL, 'Utf8') AS table_name, c.outcome, make_array(c.event_id) AS event_ids,
       concat('newly administered by: ', array_to_string(array_slice(p.administrators, 1, 5), ', '),
              CASE WHEN cardinality(p.administrators) > 5
                   THEN concat(' and ', cardinality(p.administrators) - 5, ' more') END) AS detail,
       CASE WHEN p.is_root_alone THEN 'low' END AS severity
FROM (
    SELECT key_arn, set_event_id, array_agg(DISTINCT named ORDER BY named) AS administrators,
           bool_and(named LIKE concat('arn:%:iam::', split_part(key_arn, ':', 5), ':root')) AS is_root_alone
    FROM (
        SELECT key_arn, set_event_id, split_part(allowed, ' ', 1) AS named, lower(split_part(allowed, ' ', 2)) AS action
        FROM (SELECT key_arn, set_event_id, unnest(newly_allows) AS allowed
              FROM key_policies WHERE array_has(notable, 'administration')))
    CROSS JOIN (VALUES ('kms:putkeypolicy'), ('kms:creategrant'), ('kms:schedulekeydeletion')) administration(kind)
    WHERE kind LIKE replace(replace(action, '*', '%'), '?', '_')
    GROUP BY key_arn, set_event_id) p
JOIN calls c ON c.event_id = p.set_event_id AND c.event_name = 'PutKeyPolicy'
