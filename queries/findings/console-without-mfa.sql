-- title: Use or change of a key in a console session without MFA
-- severity: medium
-- why: A password alone opened the console, and what followed used or changed a key. Roles are left out: their sessions do not say how their person signed in.
-- controls: CIS AWS 1.10
-- controls: NIST IA-2(1)
-- controls: PCI DSS 8.4.2
-- attack: T1078.004 Valid Accounts: Cloud Accounts
-- false-positives: Users of a directory that asks for a second factor before AWS does. What a page of the console decrypts by itself comes through a service (low).
-- next: `keytrail trace PRINCIPAL`, and look at ConsoleLogin of the user.
-- next: Give the user an MFA device, and ask whether the session was theirs.
-- set: default
-- needs: kms_reads
-- needs: kms_writes
SELECT event_time, coalesce(key_account_id, recipient_account_id) AS account_id, coalesce(key_region, aws_region) AS region,
       principal, array_compact(make_array(session_arn)) AS sessions,
       array_compact(make_array(source_ip_address)) AS source_ips, key_arn, table_name, outcome,
       make_array(event_id) AS event_ids,
       concat(event_name, ' from the console', CASE WHEN via_service IS NOT NULL THEN concat(', through ', via_service) END,
              ', signed in without MFA') AS detail,
       CASE WHEN caller_class = 'forwarded' AND operation_class = 'crypto' THEN 'low' ELSE 'medium' END AS severity
FROM key_calls
WHERE operation_class IN ('crypto', 'grant', 'policy', 'lifecycle') AND outcome = 'success'
  AND principal_type IN ('IAMUser', 'Root') AND mfa_authenticated = false
  -- A key of a user itself is none of the console's, which has temporary ones.
  AND starts_with(access_key_id, 'ASIA')
  AND (json_get_str(raw, 'sessionCredentialFromConsole') = 'true' OR invoked_by = 'signin.amazonaws.com')
