-- title: Every version of a key's policy, and what it newly allows to whom
-- row: version of a key's policy in the logs
-- description: From CreateKey and ReplicateKey with a policy, and every successful PutKeyPolicy. A version that says the same in other words has empty lists. The lists are NULL where the version before is not known: it is not in the logs, could not be read, or was set in the same second. An answer to GetKeyPolicy that was given with `--state` stands before the next version; it has a row without a number and a beginning where the logs do not tell its policy. Conditions are named in brackets and never evaluated.
-- column: key_arn : the key
-- column: version : its number among those in the logs, from 1; NULL where `--since` leaves out earlier ones, and of an answer
-- column: valid_from : when it was set, NULL where that was not seen
-- column: valid_to : when the next one was set, NULL for the last and where that was not seen
-- column: set_by : the principal that set it, NULL of an answer
-- column: set_event_id : the id of the event, NULL of an answer
-- column: policy : the policy as JSON text, as AWS wrote it
-- column: reading : `whole`, `truncated` where CloudTrail cut it, or `unparsed`
-- column: added : statements that are new, by Sid, else as canonical JSON
-- column: removed : statements that are gone
-- column: changed : statements of the same Sid, or without one and alike but for one part, that mean something else
-- column: newly_allows : `PRINCIPAL ACTION`, with the conditions in brackets, also where a Deny is gone that stood against it; `undecided` stands for NotPrincipal, NotAction and what is too long to tell
-- column: notable : what is notable of these: `public` (everybody, under no condition that tells who calls), `account:ID` of another account, `service:NAME`, `administration` (PutKeyPolicy, CreateGrant or ScheduleKeyDeletion); and `lockout_bypassed` where the call switched off KMS's check that somebody can still change the policy
SELECT key_arn, event_time, event_id, set_by, kind, bypasses_lockout_check,
       coalesce(json_get_str(holder, 'policy'), json_get_json(holder, 'policy'),
                -- CloudTrail leaves out what is too long and says so.
                CASE WHEN json_get_bool(holder, 'omitted') THEN holder END,
                json_get_str(answer, 'replicaPolicy')) AS policy
FROM (
    SELECT event_time, event_id, principal AS set_by, request_parameters AS holder,
           json_get_bool(request_parameters, 'bypassPolicyLockoutSafetyCheck') AS bypasses_lockout_check,
           CASE event_name WHEN 'PutKeyPolicy' THEN 'change' ELSE 'creation' END AS kind,
           CASE event_name WHEN 'ReplicateKey' THEN response_elements END AS answer,
           -- A replica has the id of its primary.
           CASE WHEN event_name <> 'ReplicateKey' THEN key_arn
                ELSE coalesce(json_get_str(response_elements, 'replicaKeyMetadata', 'arn'),
                              concat('arn:', split_part(key_arn, ':', 2), ':kms:',
                                     json_get_str(request_parameters, 'replicaRegion'), ':', split_part(key_arn, ':', 5), ':',
                                     split_part(key_arn, ':', 6))) END AS key_arn
    FROM calls
    WHERE event_name IN ('CreateKey', 'PutKeyPolicy', 'ReplicateKey') AND operation_class IN ('policy', 'lifecycle')
      AND outcome = 'success')
WHERE key_arn IS NOT NULL
UNION ALL
-- An answer to `aws kms get-key-policy` tells the policy of its time.
SELECT subject, at, NULL, NULL, 'told', false, json_get_str(body, 'Policy')
FROM state_answers
WHERE kind = 'get-key-policy' AND subject LIKE 'arn:%:key/%'
