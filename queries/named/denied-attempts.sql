-- title: Denied attempts per principal, with the reason
-- description: Refused calls that concern KMS, by principal, action, key, alias, refused resource and the policy type that AWS named. A key owner's log never shows refusals of foreign callers.
-- param: principal principal : ARN, role/NAME, user/NAME or NAME
-- param: since timestamp : not before this time
-- param: until timestamp : before this time
-- severity: medium
SELECT principal, action, key_arn, via_service, denial_reason, denial_effect,
       count(*) AS denied, min(event_time) AS first_denied, max(event_time) AS last_denied, alias_arn, denied_resource
FROM (
    SELECT principal, via_service, denial_reason, denial_effect, event_time, coalesce(key_arn, source_key_arn) AS key_arn,
           -- DynamoDB's older messages name no action, and its own operation was not what KMS refused.
           coalesce(denied_action, CASE WHEN operation_class IS NOT NULL THEN concat('kms:', event_name) END) AS action,
           coalesce(alias_arn, requested_alias) AS alias_arn,
           -- Where it is the key, the key says so.
           nullif(denied_resource, coalesce(key_arn, source_key_arn)) AS denied_resource
    FROM denials
    WHERE names_principal(CAST($principal AS VARCHAR), principal)
      AND (CAST($since AS TIMESTAMPTZ) IS NULL OR event_time >= CAST($since AS TIMESTAMPTZ))
      AND (CAST($until AS TIMESTAMPTZ) IS NULL OR event_time < CAST($until AS TIMESTAMPTZ)))
GROUP BY principal, action, key_arn, via_service, denial_reason, denial_effect, alias_arn, denied_resource
ORDER BY principal, action, key_arn, via_service, denial_reason, denial_effect, alias_arn, denied_resource
