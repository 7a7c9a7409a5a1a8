-- title: An enclave in debug mode used a key
-- severity: medium
-- why: The measurements of an enclave that runs in debug mode are all zero, so a policy cannot tell it from any other, and its parent instance can read what happens in it.
-- controls: NIST SC-39
-- attack: T1530 Data from Cloud Storage
-- false-positives: Enclaves under development, on keys that protect nothing real.
-- next: `keytrail trace KEY`.
-- next: Ask the program's owner; bind the key's policy to kms:RecipientAttestation:ImageSha384.
-- set: default
-- needs: kms_reads
SELECT event_time, coalesce(key_account_id, recipient_account_id) AS account_id, coalesce(key_region, aws_region) AS region,
       principal, array_compact(make_array(session_arn)) AS sessions,
       array_compact(make_array(source_ip_address)) AS source_ips, key_arn, table_name, outcome,
       make_array(event_id) AS event_ids,
       concat(event_name, ' for ', json_get_str(additional_event_data, 'recipient', 'attestationDocumentModuleId'),
              ', whose image digest is all zero') AS detail
FROM key_attempts
WHERE outcome = 'success' AND additional_event_data LIKE '%attestationDocumentEnclaveImageDigest%'
  AND regexp_like(json_get_str(additional_event_data, 'recipient', 'attestationDocumentEnclaveImageDigest'), '^(0+|A+=*)$')
