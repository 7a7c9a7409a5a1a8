-- title: Symmetric encryption without an encryption context
-- description: Direct uses that encrypt or decrypt without a context, so that nothing says what they were for. Signing and random numbers never have one.
SELECT key_arn, principal, event_name, count(*) AS calls, min(event_time) AS first_seen, max(event_time) AS last_seen
FROM key_use
WHERE caller_class = 'direct' AND encryption_context IS NULL
  AND event_name IN ('Encrypt', 'Decrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'ReEncrypt')
GROUP BY key_arn, principal, event_name
ORDER BY key_arn, principal, event_name
