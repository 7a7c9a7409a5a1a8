-- title: What the logs can prove
-- description: No part of the screen: the member `coverage` of the JSON.
SELECT account_id, region, from_hour, until_hour, hours, objects, records, faults, state, basis, kms_logged
FROM coverage_spans
WHERE hours IS NOT NULL
ORDER BY account_id, region, from_hour
