SELECT key_arn, state FROM keys WHERE key_arn LIKE '%1234567890ab' AND uses > 3
