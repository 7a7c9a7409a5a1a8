-- title: Which key protected which DynamoDB table when
-- row: table × period under one key
-- description: From the calls that make, change, restore, import, replicate and delete tables, and from the encryption contexts of DynamoDB's own calls to KMS; a direct caller's context is no proof. A table that was deleted and made again has a new period. A key that was seen at a table while no change to it was is a row of its own, which no other row's end is guessed from; no row outlives the deletion of its table.
-- column: key_arn : the key, NULL for a key that AWS owns and where the logs do not tell it; an alias names the key that it stood for when it was given
-- column: key_kind : `customer`, `aws_managed`, `aws_owned` or `unknown`. `aws_owned` is said only where a request switches to it, or where a table was made without naming encryption and DynamoDB's answer describes it without any; an answer of the AWS CLI that describes a table without encryption says it for its time
-- column: valid_from : when the key was set, NULL where that was not seen
-- column: valid_to : when a key was set after it or the table was deleted or made anew; where the key had changed before without a call that shows it, this is the latest that its end can have been. NULL where no end was seen: the key may still protect the table, or its end is not in the logs
-- column: set_by : the principal that set the key
-- column: set_event_id : the event that set the key
-- column: basis : the best source that tells the key: `request`, `response` (DynamoDB's answer), `snapshot` (an answer of the AWS CLI) or `context` (DynamoDB's own calls to KMS)
-- column: first_in_scope : the first time in the interval that table and key were seen together, else the first time before it
SELECT CASE WHEN event_source = 'dynamodb.amazonaws.com' THEN 'change'
            WHEN event_name = 'CreateKey' THEN 'new_key' ELSE 'alias' END AS kind,
       event_time, event_id, event_name, principal, aws_region, recipient_account_id AS account_id, table_arn, table_name,
       alias_arn, key_arn,
       CASE WHEN event_source = 'dynamodb.amazonaws.com' THEN request_parameters END AS request_parameters,
       CASE WHEN event_source = 'dynamodb.amazonaws.com' THEN response_elements END AS response_elements
FROM calls
WHERE outcome = 'success' AND event_source IN ('dynamodb.amazonaws.com', 'kms.amazonaws.com')
  AND event_name IN ('CreateTable', 'UpdateTable', 'DeleteTable', 'RestoreTableFromBackup', 'RestoreTableToPointInTime',
                     'ImportTable', 'CreateGlobalTable', 'UpdateGlobalTable',
                     'CreateAlias', 'UpdateAlias', 'DeleteAlias', 'CreateKey')
  AND (event_name <> 'CreateKey'
       OR json_get_str(response_elements, 'keyMetadata', 'keyManager') IS DISTINCT FROM 'AWS')
UNION ALL
SELECT 'use', event_time, NULL, NULL, NULL, NULL, NULL,
       CASE WHEN is_at_table THEN table_arn END, CASE WHEN is_at_table THEN table_name END, alias_arn, key_arn, NULL, NULL
FROM (
    -- The source key of a ReEncrypt protects the table no longer.
    SELECT *, via_service = 'dynamodb' AND resource_trust = 'service' AND table_name IS NOT NULL AND key_role <> 'source'
              AND (operation_class = 'crypto' OR event_name = 'CreateGrant') AS is_at_table
    FROM key_calls
    WHERE operation_class IN ('crypto', 'read', 'grant') AND outcome = 'success' AND key_arn IS NOT NULL
      AND (requested_alias IS NOT NULL OR via_service = 'dynamodb'))
WHERE is_at_table OR alias_arn IS NOT NULL
UNION ALL
-- An answer to `aws dynamodb describe-table` tells the keys of the table and its replicas at its time.
SELECT 'snapshot', at, sha256, NULL, NULL, NULL, NULL, subject,
       coalesce(json_get_str(body, 'Table', 'TableName'), split_part(subject, '/', 2)), NULL, NULL, NULL, body
FROM state_answers
WHERE kind = 'describe-table'
