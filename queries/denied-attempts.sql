-- title: Denied attempts per principal, with the reason
-- description: Refused calls that concern KMS, by principal, action, key and the policy type that AWS named. A key owner's log never shows refusals of foreign callers.
-- param: principal text : principal as keytrail names it
-- param: since timestamp : not before this time
-- param: until timestamp : before this time
-- severity: medium
SELECT principal, coalesce(denied_action, concat('kms:', event_name)) AS action, key_arn, via_service, denial_reason, denial_effect,
       count(*) AS denied, min(event_time) AS first_denied, max(event_time) AS last_denied
FROM denials
WHERE (CAST($principal AS VARCHAR) IS NULL OR principal = CAST($principal AS VARCHAR))
  AND (CAST($since AS TIMESTAMPTZ) IS NULL OR event_time >= CAST($since AS TIMESTAMPTZ))
  AND (CAST($until AS TIMESTAMPTZ) IS NULL OR event_time < CAST($until AS TIMESTAMPTZ))
GROUP BY principal, coalesce(denied_action, concat('kms:', event_name)), key_arn, via_service, denial_reason, denial_effect
ORDER BY principal, action, key_arn, via_service, denial_reason, denial_effect
