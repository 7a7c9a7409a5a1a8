-- title: A key policy lets everybody in
-- severity: high
-- why: `*` is every principal of every account, and no condition of the statement says whose callers, which organization or which network it means. Ciphertexts and a connection to AWS are all that an outsider needs. Medium where the statement has other conditions.
-- controls: PCI DSS 7.2
-- controls: NIST AC-6
-- controls: FSBP KMS.5
-- attack: T1098 Account Manipulation
-- false-positives: A condition that narrows callers down in a way that is not known here, such as a tag; keys that were opened for a test.
-- next: `keytrail query key-policy-versions -p key=KEY` shows the change, `keytrail query foreign-accounts -p key=KEY` who came since.
-- set: default
-- needs: kms_writes
SELECT c.event_time, split_part(p.key_arn, ':', 5) AS account_id, split_part(p.key_arn, ':', 4) AS region, c.principal,
       array_compact(make_array(c.session_arn)) AS sessions, array_compact(make_array(c.source_ip_address)) AS source_ips,
       p.key_arn, arrow_cast(NULL, 'Utf8') AS table_name, c.outcome, make_array(c.event_id) AS event_ids,
       concat('everybody may ', array_to_string(array_slice(s.actions, 1, 5), ', '),
              CASE WHEN cardinality(s.actions) > 5 THEN concat(' and ', cardinality(s.actions) - 5, ' more') END,
              CASE WHEN s.is_conditional THEN ', under conditions that do not tell who calls' END,
              CASE WHEN p.newly_allows IS NULL THEN '; the version before is not known' END) AS detail,
       CASE WHEN s.is_conditional THEN 'medium' END AS severity
FROM key_policies p
JOIN (
    SELECT key_arn, set_event_id, bool_and(condition IS NOT NULL) AS is_conditional,
           -- Whom such a condition lets in is not evaluated.
           bool_or(coalesce(NOT regexp_like(condition, concat(
               '"(aws:Principal(Account|Arn|OrgID|OrgPaths|ServiceName|ServiceNamesList)|aws:Source(',
               'Account|Arn|OrgID|OrgPaths|Vpc|Vpce)|aws:UserId|aws:Username|kms:CallerAccount)"'), 'i'), true)) AS is_open,
           array_sort(array_distinct(flatten(array_agg(actions)))) AS actions
    FROM key_policy_statements
    WHERE effect = 'Allow' AND array_has(principals, '*') AND cardinality(actions) > 0
    GROUP BY key_arn, set_event_id) s ON p.key_arn = s.key_arn AND p.set_event_id = s.set_event_id
JOIN calls c ON c.event_id = p.set_event_id AND c.event_name IN ('CreateKey', 'PutKeyPolicy', 'ReplicateKey')
WHERE array_has(p.notable, 'public') OR p.newly_allows IS NULL AND s.is_open
