-- title: Refused calls that concern KMS, and what the logs say around each
-- row: refused call
-- description: Refusals that KMS logged, and those that other services logged alone. A service's record of a refusal that KMS logged too is left out; where only it names the key, the key columns are from there. Nothing here says why a call was refused or let in: changes and successes stand beside it in the order of time.
-- column: candidate_tables : the ARNs of the DynamoDB tables that the refusal may have been for, at most 20 by name: the one that DynamoDB's own record names, else those that the key protected then; NULL where neither is known
-- column: table_certainty : `certain` where DynamoDB's own record names the table, `likely` with one candidate, `possible` with several, else NULL
-- column: nearest_change_event_id : the last successful change of the key's policy, grants or state, or of a policy, group or boundary of the principal, in an earlier second
-- column: nearest_change : the operation of that change
-- column: nearest_changed_at : its time
-- column: nearest_changed_by : its principal
-- column: first_success_after : the same principal's first success in a later second at the same operation on that key, of a ReEncrypt at the same side of it; the key is the one that the record names, or that its alias named then
-- column: first_success_event_id : the id of that success
-- column: noise_class : of a known harmless refusal the service that looked: `access_analyzer`, `audit_manager`, `aws_config`, `macie`, `resource_explorer`, `security_hub`, `trusted_advisor`; only where the service itself called with its own role
-- column: noise_evidence : that role, and what says that the service called
-- column: echo_event_ids : the ids of the service's own records of the same refusal
-- column: echo_basis : `request_id` where such a record names the request of KMS, `time` where the two lie together, NULL without one
SELECT r.*, f.candidate_tables, f.table_certainty, f.nearest_change_event_id, f.nearest_change, f.nearest_changed_at,
       f.nearest_changed_by,
       -- A key that only its table tells is not the record's.
       CASE WHEN f.key_by_table IS NULL THEN f.first_success_after END AS first_success_after,
       CASE WHEN f.key_by_table IS NULL THEN f.first_success_event_id END AS first_success_event_id,
       f.noise_class, f.noise_evidence, f.echo_event_ids, f.echo_basis
FROM refusals r
LEFT JOIN denial_facts f ON r.event_id = f.event_id
