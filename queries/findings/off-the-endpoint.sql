-- title: A principal that always came through one VPC endpoint came from a public address
-- severity: medium
-- why: A program in a VPC has no reason to reach KMS over the internet. Its credentials may be in use somewhere else.
-- controls: NIST SC-7
-- controls: NIST AC-17
-- attack: T1078.004 Valid Accounts: Cloud Accounts
-- false-positives: An endpoint that is taken away or replaced. A program that is tried on somebody's own machine with the role of the real one.
-- next: `keytrail trace PRINCIPAL`, and compare the sessions and addresses.
-- next: Ask the principal's owner whose address it is; if nobody knows it, revoke the role's sessions.
-- set: baseline
-- needs: kms_reads
-- needs: baseline
SELECT min(k.event_time) AS event_time, min(split_part(k.key_arn, ':', 5)) AS account_id,
       min(split_part(k.key_arn, ':', 4)) AS region, k.principal,
       array_slice(array_sort(array_compact(array_agg(DISTINCT k.session_arn))), 1, 20) AS sessions,
       array_slice(array_sort(array_agg(DISTINCT k.source_ip_address)), 1, 20) AS source_ips, k.key_arn,
       arrow_cast(NULL, 'Utf8') AS table_name, 'success' AS outcome,
       array_slice(array_agg(k.event_id ORDER BY k.event_time, k.event_id), 1, 20) AS event_ids,
       concat(count(*), CASE WHEN count(*) = 1 THEN ' call' ELSE ' calls' END, ' from a public address; before always through ',
              min(b.vpc_endpoint_id), ' (', min(b.calls), ' calls)') AS detail,
       count(*) AS event_count, max(k.event_time) AS last_time
FROM (
    SELECT principal, min(vpc_endpoint_id) AS vpc_endpoint_id, sum(calls) AS calls
    FROM baseline
    WHERE days_covered >= 7
    GROUP BY principal
    HAVING count(*) = count(vpc_endpoint_id) AND min(vpc_endpoint_id) = max(vpc_endpoint_id) AND sum(calls) >= 20) b
JOIN (
    SELECT *
    FROM key_use
    WHERE caller_class = 'direct' AND vpc_endpoint_id IS NULL AND key_arn IS NOT NULL
      -- An address, and none of those that only a private network has.
      AND regexp_like(source_ip_address, '^[0-9.]+$|:')
      AND NOT regexp_like(source_ip_address, concat('^(10\.|127\.|169\.254\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.|',
                                                    '100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.|f[cd]|fe80)'))) k
    ON k.principal = b.principal
GROUP BY k.principal, k.key_arn
