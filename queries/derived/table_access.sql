-- title: Who reached which DynamoDB table how, day by day
-- row: principal × table × operation × day
-- description: From DynamoDB's own records that name the table, DescribeTable included, and from its uses of keys in the principal's name. One use of a key explains the accesses of the same session (of a role; where a record does not tell its start, of all that share its id) or user to the same table from then on: DynamoDB keeps the key for 300 seconds, and 60 more are allowed for; 5 seconds before it are allowed for, since the clocks of two services differ. A use of a key that a record of DynamoDB's explains has no row of its own. Facts are of the interval alone. Refusals by KMS name no table, so `denied` has those that DynamoDB's own records tell; `denials` has all.
-- column: operation : the operation of DynamoDB, or `kms:` and that of KMS for uses of a key that no record of DynamoDB's explains
-- column: day : the day of the calls, UTC; NULL where they have no time
-- column: calls : all calls, refused and failed ones too; in rows of key use the successful uses that nothing explains
-- column: denied : the refused ones among them, by DynamoDB, IAM or KMS
-- column: evidence : `data_event` or `management_event`, DynamoDB's own records alone; `both` where uses of the key stand beside at least one of them; `key_use`, uses of the key alone
-- column: orphan : `no_key_use` where a data event succeeded and no use of the key explains how, `no_data_event` where the key was used and no data event or change of the table tells what for; NULL where every one has its other side, for calls that need no key, and for those at most 5 seconds from a border of the interval beyond which it may lie
-- column: orphan_reason : the likely reason, where it is the same for all of them: `key_cached_from_before` (the use of the key lies before the interval), `key_cached_for_other_session` (another session of the same role used it), `log_does_not_reach_back` (the first 360 seconds of what was read), `key_is_aws_owned` (such keys leave no record), `data_events_not_logged` (none of this principal and table is here), `background_service` (DynamoDB itself); NULL where none is known, as when a part of the logs is missing
SELECT CASE WHEN operation_class IS NOT NULL THEN 'key_use'
            -- Exports and records of VPC endpoints may not tell that an event is of data.
            WHEN event_category = 'Data'
              OR event_name IN ('BatchExecuteStatement', 'BatchGetItem', 'BatchWriteItem', 'DeleteItem', 'ExecuteStatement',
                                'ExecuteTransaction', 'GetItem', 'GetRecords', 'GetShardIterator', 'PutItem', 'Query',
                                'Scan', 'TransactGetItems', 'TransactWriteItems', 'UpdateItem') THEN 'data_event'
            WHEN read_only IS FALSE THEN 'table_change'
            ELSE 'table_read' END AS kind,
       principal, principal_id, session_created, table_arn, table_name,
       CASE WHEN operation_class IS NOT NULL THEN concat('kms:', event_name) ELSE event_name END AS operation,
       event_time, CASE WHEN false THEN event_time END AS ended, outcome
FROM table_calls
WHERE (in_interval(event_time) OR in_interval(event_time + INTERVAL '360 seconds'))
  AND (event_source = 'dynamodb.amazonaws.com'
       OR (operation_class = 'crypto' AND via_service = 'dynamodb' AND resource_trust = 'service' AND outcome = 'success'
           -- A ReEncrypt is one use.
           AND key_role <> 'source'))
UNION ALL
SELECT 'aws_owned', NULL, NULL, NULL, table_arn, table_name, NULL, valid_from, valid_to, NULL
FROM table_keys
WHERE key_kind = 'aws_owned'
