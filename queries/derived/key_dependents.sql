-- title: Who and what would notice the loss of a key
-- row: key × principal, table, former table, service, resource or open grant
-- description: From calls of the interval that used the key and succeeded, and from the grants that are open. Calls through DynamoDB are a lower bound of accesses, since DynamoDB keeps a table's key for a while; who uses data offline or by a key that AWS owns is not in the logs. A table or resource counts where the service that it belongs to made the call, never by a direct caller's claim. Backups of a former table may need the key.
-- column: kind : `principal`, `table`, `former_table` (deleted or under another key since, as `table_keys` tells), `service`, `resource`, `grant`
-- column: dependent : the principal, the table's ARN (its name where the ARN is not told), the service by its short name, the resource likewise, the id of the grant
-- column: calls : successful uses of the key in the interval, of a ReEncrypt from the key to itself one; NULL of a grant, since AWS does not log which grant allowed a call
-- column: first_seen : the first of these uses; of a grant its creation
-- column: last_seen : the last of these uses; of a grant its last possible use
SELECT k.key_arn, k.event_time AS first_seen, k.event_time AS last_seen, arrow_cast(NULL, 'Utf8') AS grant_id, k.principal,
       k.service, CASE WHEN t.key_arn IS NULL THEN k.table_dependent END AS table_dependent,
       CASE WHEN t.key_arn IS NOT NULL THEN k.table_dependent END AS former_table, k.resource
-- What is small stands first in this join: it is what it holds in memory.
FROM (SELECT key_arn, coalesce(table_arn, table_name) AS table_dependent
      FROM table_keys
      WHERE key_arn IS NOT NULL
      GROUP BY key_arn, coalesce(table_arn, table_name)
      HAVING count(*) = count(valid_to)) t
RIGHT JOIN (
    SELECT key_arn, event_time, CASE WHEN caller_class <> 'service' THEN principal END AS principal, via_service AS service,
           CASE WHEN resource_trust = 'service' THEN coalesce(table_arn, table_name) END AS table_dependent,
           CASE WHEN resource_trust = 'service' AND table_name IS NULL THEN coalesce(resource_arn, resource_name) END AS resource
    FROM key_calls
    WHERE operation_class = 'crypto' AND outcome = 'success' AND key_arn IS NOT NULL AND in_interval(event_time)
      -- A ReEncrypt from a key to itself is one use of it.
      AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE) k
    ON t.key_arn = k.key_arn AND t.table_dependent = k.table_dependent
UNION ALL
SELECT key_arn, created_at, last_possible_use, coalesce(grant_id, create_event_id), NULL, NULL, NULL, NULL, NULL
FROM grants
WHERE state = 'open'
