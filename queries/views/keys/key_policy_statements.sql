-- title: The statements of each version of a key's policy
-- row: statement × version
-- description: As the policy says them, one after the other: a Deny takes away what another statement allows. Of versions that could be read whole.
-- column: key_arn : the key
-- column: set_event_id : the event that set the version
-- column: effect : `Allow` or `Deny`
-- column: principals : whom it names, as written; empty for NotPrincipal
-- column: actions : what it names, as written; empty for NotAction
-- column: condition : the member `Condition` as JSON, NULL without one
SELECT key_arn, set_event_id, json_get_str(statement, 'Effect') AS effect,
       coalesce(json_get_list(statement, 'Principal', 'AWS'),
                array_compact(make_array(coalesce(json_get_str(statement, 'Principal', 'AWS'), json_get_str(statement, 'Principal'))))) AS principals,
       coalesce(json_get_list(statement, 'Action'), array_compact(make_array(json_get_str(statement, 'Action')))) AS actions,
       json_get_json(statement, 'Condition') AS condition
FROM (
    SELECT key_arn, set_event_id,
           unnest(coalesce(json_get_list(policy, 'Statement'), make_array(json_get_json(policy, 'Statement')))) AS statement
    FROM key_policies
    WHERE reading = 'whole')
