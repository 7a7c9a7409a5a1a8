-- title: The statements of each version of a key's policy
-- row: statement × version
-- description: As the policy says them, one after the other: a Deny takes away what another statement allows. Of versions that could be read whole. `is_own` and `is_root` tell whether it names the account of the key.
-- column: key_arn : the key
-- column: set_event_id : the event that set the version, NULL of an answer
-- column: effect : `Allow` or `Deny`
-- column: principals : the AWS principals that it names, as written; empty for NotPrincipal
-- column: actions : the actions that it names, as written; empty for NotAction
-- column: condition : the member `Condition` as JSON, NULL without one
-- column: is_root : whether it names the key's account as a whole
-- column: is_own : whether it names that account, a principal of it, or everybody
SELECT key_arn, set_event_id, effect, principals, actions, condition, is_root,
       is_root OR array_has(principals, '*') OR array_to_string(principals, ' ') LIKE concat('%:', account_id, ':%') AS is_own
FROM (
    SELECT *, array_has(principals, account_id)
              OR array_has(principals, concat('arn:', split_part(key_arn, ':', 2), ':iam::', account_id, ':root')) AS is_root
    FROM (
        SELECT key_arn, split_part(key_arn, ':', 5) AS account_id, set_event_id, json_get_str(statement, 'Effect') AS effect,
               coalesce(json_get_list(statement, 'Principal', 'AWS'),
                        array_compact(make_array(coalesce(json_get_str(statement, 'Principal', 'AWS'),
                                                          json_get_str(statement, 'Principal'))))) AS principals,
               coalesce(json_get_list(statement, 'Action'), array_compact(make_array(json_get_str(statement, 'Action')))) AS actions,
               json_get_json(statement, 'Condition') AS condition
        FROM (
            SELECT key_arn, set_event_id,
                   unnest(coalesce(json_get_list(policy, 'Statement'), make_array(json_get_json(policy, 'Statement')))) AS statement
            FROM key_policies
            WHERE reading = 'whole')))
