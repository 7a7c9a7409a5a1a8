-- title: The logs of KMS were cut
-- severity: high
-- why: What is not logged cannot be found. From this call on uses of keys may be missing, and no answer about the hours after it is complete.
-- controls: CIS AWS 4.5
-- controls: NIST AU-9
-- controls: NIST AU-12
-- controls: PCI DSS 10.3.2
-- attack: T1562.008 Impair Defenses: Disable or Modify Cloud Logs
-- false-positives: A trail that is replaced while another one logs the same. Trails that leave out KMS for its cost. Terraform writes a trail's bucket and settings again with every change of it.
-- next: `keytrail query coverage-holes`, then switch it on again.
-- next: Ask whoever made the change; look what the principal did until it was on again.
-- set: default
-- needs: cloudtrail
-- needs: kms_writes
WITH trail_calls AS (
    SELECT *,
           regexp_replace(coalesce(json_get_str(request_parameters, 'name'), json_get_str(request_parameters, 'trailName'),
                                   json_get_str(request_parameters, 'eventDataStore')), '^.*/', '') AS trail,
           json_get_str(response_elements, 's3BucketName') AS bucket
    FROM calls
    WHERE event_source = 'cloudtrail.amazonaws.com' AND event_name IN (
        'CreateTrail', 'UpdateTrail', 'DeleteTrail', 'StartLogging', 'StopLogging', 'PutEventSelectors', 'DeleteEventDataStore',
        'StopEventDataStoreIngestion')),
-- A trail takes what any of its selectors takes.
selectors AS (
    SELECT event_id, unnest(coalesce(json_get_list(request_parameters, 'advancedEventSelectors'),
                                     json_get_list(request_parameters, 'eventSelectors'))) AS selector
    FROM trail_calls
    WHERE event_name = 'PutEventSelectors'),
left_out AS (
    SELECT event_id
    FROM (
        SELECT event_id, selector,
               -- The conditions of an advanced selector, in one text of the form `field:operator=values;`.
               regexp_replace(json_get_json(selector, 'fieldSelectors'), '\s', '', 'g') AS conditions
        FROM selectors)
    GROUP BY event_id
    HAVING bool_and(CASE
        WHEN conditions IS NULL
            THEN json_get_bool(selector, 'includeManagementEvents') IS NOT DISTINCT FROM false
              OR json_get_str(selector, 'readWriteType') IS NOT DISTINCT FROM 'WriteOnly'
              OR coalesce(array_has(json_get_list(selector, 'excludeManagementEventSources'), 'kms.amazonaws.com'), false)
        ELSE NOT regexp_like(conditions, '"Management"')
          OR regexp_like(conditions, '"notEquals":\[[^\]]*"kms\.amazonaws\.com"')
          OR regexp_like(conditions, '"field":"readOnly","equals":\["false"\]|"equals":\["false"\],"field":"readOnly"')
        END)),
cuts AS (
    SELECT t.*,
           CASE t.event_name
               WHEN 'StopLogging' THEN 'logging was stopped'
               WHEN 'DeleteTrail' THEN 'the trail was deleted'
               WHEN 'PutEventSelectors'
                   THEN CASE WHEN l.event_id IS NOT NULL THEN 'the trail leaves out what reads or uses keys' END
               WHEN 'DeleteEventDataStore' THEN 'the event data store was deleted'
               WHEN 'StopEventDataStoreIngestion' THEN 'the event data store takes no more events'
               WHEN 'UpdateTrail' THEN CASE
                   -- What was so before is no cut.
                   WHEN json_get_bool(t.request_parameters, 'enableLogFileValidation') = false
                    AND json_get_bool(t.former, 'logFileValidationEnabled') IS DISTINCT FROM false
                       THEN 'its logs are no longer signed'
                   WHEN json_get_bool(t.request_parameters, 'isMultiRegionTrail') = false
                    AND json_get_bool(t.former, 'isMultiRegionTrail') IS DISTINCT FROM false
                       THEN 'the trail logs one Region only'
                   WHEN json_get_bool(t.request_parameters, 'isOrganizationTrail') = false
                    AND json_get_bool(t.former, 'isOrganizationTrail') IS DISTINCT FROM false
                       THEN 'the trail logs one account only'
                   WHEN json_get_bool(t.request_parameters, 'includeGlobalServiceEvents') = false
                    AND json_get_bool(t.former, 'includeGlobalServiceEvents') IS DISTINCT FROM false
                       THEN 'the trail leaves out IAM and STS'
                   WHEN t.bucket <> json_get_str(t.former, 's3BucketName')
                       THEN concat('its logs go to bucket ', t.bucket, ' instead of ', json_get_str(t.former, 's3BucketName'))
                   END END AS cut
    FROM (
        -- Only answers that describe the whole trail have its bucket.
        SELECT *, lag(response_elements) OVER (PARTITION BY recipient_account_id, trail, bucket IS NULL
                                               ORDER BY event_time, event_id) AS former
        FROM trail_calls) t
    LEFT JOIN left_out l ON l.event_id = t.event_id),
undone AS (
    -- What switched on again what was cut: logging itself, or selectors that take all.
    SELECT *, min(CASE WHEN cut IS NULL AND outcome = 'success' THEN event_time END)
                  OVER (PARTITION BY recipient_account_id, trail,
                                     CASE WHEN event_name IN ('StartLogging', 'StopLogging') THEN 'logging' ELSE event_name END
                        ORDER BY event_time, event_id ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS undone_at
    FROM cuts)
SELECT event_time, recipient_account_id AS account_id, aws_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       arrow_cast(NULL, 'Utf8') AS key_arn, arrow_cast(NULL, 'Utf8') AS table_name, outcome, make_array(event_id) AS event_ids,
       concat(event_name, ': ', CASE WHEN outcome = 'success' THEN cut ELSE concat('it was tried, and ', outcome) END,
              CASE WHEN outcome = 'success' AND event_name IN ('StopLogging', 'PutEventSelectors') AND undone_at IS NOT NULL
                   THEN concat(CASE event_name WHEN 'StopLogging' THEN ', and began again after '
                                               ELSE ', and takes all again after ' END,
                               CAST(date_part('epoch', undone_at - event_time) / 60 AS BIGINT), ' min')
                   END) AS detail,
       concat('trail ', trail) AS subject,
       CASE WHEN outcome = 'success' THEN 'high' ELSE 'info' END AS severity
FROM undone
WHERE cut IS NOT NULL AND outcome IN ('success', 'denied')
UNION ALL
SELECT event_time, recipient_account_id, aws_region, principal, array_compact(make_array(session_arn)),
       array_compact(make_array(source_ip_address)), arrow_cast(NULL, 'Utf8'), arrow_cast(NULL, 'Utf8'), outcome,
       make_array(event_id),
       concat(event_name, ': the organization''s trail no longer logs the account'),
       concat('account ', coalesce(json_get_str(request_parameters, 'accountId'), recipient_account_id)), 'medium'
FROM calls
WHERE event_source = 'organizations.amazonaws.com' AND event_name IN ('LeaveOrganization', 'RemoveAccountFromOrganization')
  AND outcome = 'success'
UNION ALL
-- CloudTrail cannot deliver what it cannot encrypt.
SELECT event_time, key_account_id, coalesce(key_region, aws_region), principal, array_compact(make_array(session_arn)),
       array_compact(make_array(source_ip_address)), key_arn, arrow_cast(NULL, 'Utf8'), outcome, make_array(event_id),
       concat(event_name, ' of the key that a trail''s logs are encrypted with'), arrow_cast(NULL, 'Utf8'), 'high'
FROM key_calls
WHERE operation_class = 'lifecycle' AND event_name IN ('DisableKey', 'ScheduleKeyDeletion') AND outcome = 'success'
  AND key_arn IN (SELECT key_arn FROM key_use_groups WHERE via_service = 'cloudtrail' AND caller_class = 'service')
