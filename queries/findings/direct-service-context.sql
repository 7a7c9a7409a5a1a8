-- title: Direct call with the encryption context of an AWS service
-- severity: high
-- why: A service keeps the wrapped data keys of what it protects to itself, so a caller who sends its context to KMS directly holds one of them, or is testing whether it works. DynamoDB never hands out a table's key. Encrypting under such a context makes a text that passes for the service's own.
-- controls: NIST AC-6
-- controls: PCI DSS 3.6.1.3
-- attack: T1530 Data from Cloud Storage
-- false-positives: Encrypted parameters of Parameter Store that a client decrypts itself, as AWS documents it, and environments of functions (medium). Restore tools that copy a service's context by hand. Functions of Lambda that open their own at a start are left out.
-- next: `keytrail trace KEY`, and `keytrail query direct-table-context` for tables.
-- next: Ask the principal's owner where the ciphertext came from.
-- set: default
-- needs: kms_reads
SELECT event_time, coalesce(key_account_id, recipient_account_id) AS account_id, coalesce(key_region, aws_region) AS region,
       principal, array_compact(make_array(session_arn)) AS sessions,
       array_compact(make_array(source_ip_address)) AS source_ips, key_arn, table_name, outcome,
       make_array(event_id) AS event_ids,
       concat(event_name, ' sent with the context of ', resource_service, ' ', resource_type, ' ',
              coalesce(table_name, resource_arn, resource_name)) AS detail,
       CASE WHEN outcome = 'denied' THEN 'info'
            -- What only encrypts, or failed, has opened nothing; parameters and environments are given to their readers.
            WHEN outcome <> 'success' OR event_name NOT IN ('Decrypt', 'ReEncrypt') OR resource_service IN ('ssm', 'lambda')
                THEN 'medium'
            ELSE 'high' END AS severity
FROM key_calls
WHERE operation_class = 'crypto' AND caller_class = 'direct' AND resource_service IS NOT NULL AND resource_trust = 'claimed'
  -- The session of a function's role bears the function's name.
  AND (resource_service = 'lambda' AND ends_with(resource_arn, ':function:' || session_name)) IS NOT TRUE
