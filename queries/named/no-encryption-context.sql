-- title: Symmetric encryption without an encryption context
-- description: Direct uses that encrypt or decrypt without a context, so that nothing says what they were for; of ReEncrypt each side by its own context. Asymmetric keys, signatures and random numbers never have one.
SELECT key_arn, principal, event_name, key_role, count(DISTINCT call_id) AS calls,
       min(event_time) AS first_seen, max(event_time) AS last_seen
FROM key_use
WHERE caller_class = 'direct'
  AND coalesce(cardinality(encryption_context), 0) = 0
  AND coalesce(encryption_algorithm, 'SYMMETRIC_DEFAULT') = 'SYMMETRIC_DEFAULT'
  AND event_name IN ('Encrypt', 'Decrypt', 'ReEncrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext',
      'GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext')
GROUP BY key_arn, principal, event_name, key_role
ORDER BY key_arn, principal, event_name, key_role
