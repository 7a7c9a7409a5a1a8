-- title: Denied attempts per principal, with the reason
-- description: Refused calls that concern KMS, by principal, action, key and the policy type that AWS named. A key owner's log never shows refusals of foreign callers.
-- param: principal text : principal as keytrail names it
-- param: since timestamp : not before this time
-- param: until timestamp : before this time
-- severity: medium
SELECT principal, action, key_arn, via_service, denial_reason, denial_effect,
       count(*) AS denied, min(event_time) AS first_denied, max(event_time) AS last_denied
FROM (
    SELECT principal, via_service, denial_reason, denial_effect, event_time, coalesce(key_arn, source_key_arn) AS key_arn,
           -- DynamoDB's older messages name no action, and its own operation was not what KMS refused.
           coalesce(denied_action, CASE WHEN operation_class IS NOT NULL THEN concat('kms:', event_name) END) AS action
    FROM denials
    WHERE (CAST($principal AS VARCHAR) IS NULL OR principal = CAST($principal AS VARCHAR))
      AND (CAST($since AS TIMESTAMPTZ) IS NULL OR event_time >= CAST($since AS TIMESTAMPTZ))
      AND (CAST($until AS TIMESTAMPTZ) IS NULL OR event_time < CAST($until AS TIMESTAMPTZ)))
GROUP BY principal, action, key_arn, via_service, denial_reason, denial_effect
ORDER BY principal, action, key_arn, via_service, denial_reason, denial_effect
