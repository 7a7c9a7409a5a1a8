-- title: A direct call without an encryption context on a key that is otherwise used with one
-- severity: low
-- why: The context says what a ciphertext is for and is checked when it is decrypted. A call without it stands out among those of the program that the key is for.
-- controls: NIST SC-13
-- attack: T1530 Data from Cloud Storage
-- false-positives: Somebody who tries the key by hand. A second program whose writer did not know of contexts.
-- next: `keytrail query no-encryption-context`.
-- next: Ask the principal's owner what was encrypted or decrypted.
-- set: default
-- needs: kms_reads
SELECT first_bare AS event_time, split_part(key_arn, ':', 5) AS account_id, split_part(key_arn, ':', 4) AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, arrow_cast(NULL, 'Utf8') AS table_name, 'success' AS outcome, make_array(event_id) AS event_ids,
       concat(bare, CASE WHEN bare = 1 THEN ' direct call' ELSE ' direct calls' END, ' without a context; ', key_full,
              ' others on the key have one') AS detail,
       bare AS event_count, last_bare AS last_time
FROM (
    SELECT *, sum(bare) OVER (PARTITION BY key_arn) AS key_bare, sum(full_calls) OVER (PARTITION BY key_arn) AS key_full
    FROM (
        SELECT key_arn, principal, coalesce(sum(calls) FILTER (WHERE NOT has_context), 0) AS bare,
               coalesce(sum(calls) FILTER (WHERE has_context), 0) AS full_calls,
               min(first_seen) FILTER (WHERE NOT has_context) AS first_bare,
               max(last_seen) FILTER (WHERE NOT has_context) AS last_bare,
               first_value(first_event_id ORDER BY first_seen, first_event_id) FILTER (WHERE NOT has_context) AS event_id,
               first_value(first_session_arn ORDER BY first_seen, first_event_id) FILTER (WHERE NOT has_context) AS session_arn,
               first_value(first_source_ip ORDER BY first_seen, first_event_id) FILTER (WHERE NOT has_context)
                   AS source_ip_address
        FROM key_use_groups
        WHERE caller_class = 'direct' AND key_arn IS NOT NULL
          AND coalesce(encryption_algorithm, 'SYMMETRIC_DEFAULT') = 'SYMMETRIC_DEFAULT'
          AND event_name IN ('Encrypt', 'Decrypt', 'ReEncrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext',
              'GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext')
        GROUP BY key_arn, principal))
-- Of a key's calls one in twenty at most: more, and contexts are no rule there.
WHERE bare > 0 AND key_full >= 20 AND key_bare * 20 <= key_full
