-- title: A key policy locks out the account that owns the key
-- severity: high
-- why: A policy that nobody of the account may change leaves the key to whomever it names; only AWS can help then. Critical if KMS's check against this was switched off; medium if it was and the account still stands, or if some principals alone may change it where the whole account could be let in before.
-- controls: NIST AC-6
-- controls: NIST SC-12
-- attack: T1531 Account Access Removal
-- false-positives: Templates that always switch the check off, and keys that are meant for one role alone.
-- next: `keytrail query key-policy-versions -p key=KEY` shows what was changed; put the former policy back while somebody still may.
-- set: default
-- needs: kms_writes
SELECT event_time, account_id, key_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, arrow_cast(NULL, 'Utf8') AS table_name, outcome, make_array(event_id) AS event_ids,
       concat(CASE WHEN is_kept IS NULL THEN 'the policy cannot be read'
                   WHEN NOT is_kept THEN 'nobody of the account may change the policy'
                   WHEN NOT is_delegated AND was_delegated
                   THEN 'only some principals may change the policy, no longer the account'
                   ELSE 'the account may still change the policy' END,
              CASE WHEN is_bypassed THEN ', and the check against lock-out was switched off' END) AS detail,
       CASE WHEN is_kept THEN 'medium' WHEN is_bypassed AND NOT is_kept THEN 'critical' END AS severity
FROM (
    SELECT c.*, split_part(p.key_arn, ':', 5) AS account_id, s.is_kept, s.is_delegated,
           coalesce(json_get_bool(c.request_parameters, 'bypassPolicyLockoutSafetyCheck'), false) AS is_bypassed,
           lag(s.is_delegated) OVER (PARTITION BY p.key_arn ORDER BY p.valid_from NULLS FIRST) AS was_delegated
    FROM key_policies p
    LEFT JOIN (
        SELECT key_arn, set_event_id, bool_or(is_own AND is_change) AS is_kept, bool_or(is_root AND is_change) AS is_delegated
        FROM (
            SELECT *, effect = 'Allow'
                      -- NotAction leaves open what it allows.
                      AND (cardinality(actions) = 0
                           OR regexp_like(array_to_string(actions, ' '),
                                          '(^| )(\*|kms:(\*|p\*|pu\*|put\*|putkey\*|putkeypolicy))( |$)', 'i')) AS is_change
            FROM key_policy_statements)
        GROUP BY key_arn, set_event_id) s ON p.key_arn = s.key_arn AND p.set_event_id IS NOT DISTINCT FROM s.set_event_id
    LEFT JOIN calls c ON c.event_id = p.set_event_id AND c.event_name IN ('CreateKey', 'PutKeyPolicy', 'ReplicateKey'))
WHERE event_time IS NOT NULL AND (is_bypassed OR NOT is_kept OR NOT is_delegated AND was_delegated)
