-- title: Key policies that open a key to everybody, another account or a service, or to more administrators
-- description: Versions that newly allow something notable: `public`, `account:ID`, `service:NAME`, `administration` (PutKeyPolicy, CreateGrant, ScheduleKeyDeletion); or that were set with KMS's check against lock-out switched off (`lockout_bypassed`). Conditions are named in brackets and never judged. A version whose NotPrincipal or NotAction leaves open what it newly allows is here too, with `undecided` in `newly_allows`. A version that opens nothing new is not here, and neither is one that nobody can compare, because the version before is not in the logs.
-- severity: medium
SELECT valid_from, key_arn, version, set_by, notable, newly_allows, set_event_id
FROM key_policies
WHERE cardinality(notable) > 0 OR array_has(newly_allows, 'undecided')
ORDER BY valid_from, key_arn, version, set_event_id
