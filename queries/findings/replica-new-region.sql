-- title: A multi-Region key went to a Region where KMS was not used before
-- severity: medium
-- why: A copy of the key decrypts the same data under a policy of its own, in a Region that nobody may be watching.
-- controls: NIST SC-12
-- controls: NIST CM-7
-- attack: T1535 Unused/Unsupported Cloud Regions
-- false-positives: The first step of a planned expansion. `possible`: no log of the Region is here, which may be read nowhere (low).
-- next: `keytrail trace KEY`, `keytrail query key-policy-versions -p key=KEY` for the replica's policy.
-- next: Ask the key's owner whether the Region is one of yours.
-- set: default
-- needs: kms_writes
WITH seen AS (
    SELECT recipient_account_id, aws_region, min(event_time) AS first_event
    FROM calls
    WHERE operation_class IS NOT NULL
    GROUP BY recipient_account_id, aws_region)
SELECT c.event_time, c.account_id, c.target AS region, c.principal, array_compact(make_array(c.session_arn)) AS sessions,
       array_compact(make_array(c.source_ip_address)) AS source_ips, c.key_arn, arrow_cast(NULL, 'Utf8') AS table_name, c.outcome,
       make_array(c.event_id) AS event_ids,
       concat(CASE WHEN s.first_event IS NULL THEN 'possible: ' END, c.event_name, ' to ', c.target,
              ', where no call of KMS was seen before') AS detail,
       CASE WHEN s.first_event IS NULL THEN 'low' ELSE 'medium' END AS severity
FROM (
    SELECT *, coalesce(key_account_id, recipient_account_id) AS account_id,
           coalesce(json_get_str(request_parameters, 'replicaRegion'),
                    json_get_str(request_parameters, 'primaryRegion')) AS target
    FROM key_calls
    WHERE operation_class = 'lifecycle' AND event_name IN ('ReplicateKey', 'UpdatePrimaryRegion') AND outcome = 'success'
      -- KMS itself tells the other Region of the change.
      AND invoked_by IS DISTINCT FROM 'kms.amazonaws.com') c
-- Only a log that reaches back says that something was not there.
JOIN (SELECT recipient_account_id, min(first_event) AS first_event FROM seen GROUP BY recipient_account_id) a
    ON a.recipient_account_id = c.account_id AND a.first_event < c.event_time - INTERVAL '24' HOUR
LEFT JOIN seen s ON s.recipient_account_id = c.account_id AND s.aws_region = c.target
WHERE s.first_event IS NULL OR s.first_event >= c.event_time
