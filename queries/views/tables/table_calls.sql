-- title: Every call once, for each DynamoDB table that it concerns
-- row: call × table × key that it concerns
-- description: A record of DynamoDB's own that names several tables, such as BatchGetItem or TransactWriteItems, has a row for each; in `events` and the views over calls it names none. Calls that concern no table are left out.
-- column: table_name : the table of this row
-- column: table_arn : the ARN of the table of this row, NULL where account or Region are not told
SELECT * EXCLUDE (named_table) REPLACE (
    coalesce(table_name, CASE WHEN starts_with(named_table, 'arn:') THEN split_part(named_table, ':table/', 2)
                              ELSE named_table END) AS table_name,
    coalesce(table_arn, CASE WHEN starts_with(named_table, 'arn:') THEN named_table
                             WHEN table_name IS NULL
                             THEN 'arn:' || split_part(principal_arn, ':', 2) || ':dynamodb:' || aws_region || ':'
                                  || recipient_account_id || ':table/' || named_table END) AS table_arn)
FROM (
    SELECT *, unnest(CASE
        WHEN table_name IS NOT NULL THEN make_array(table_name)
        -- The ARNs of `resources`, of a part of a table such as a stream that of the table.
        WHEN resources LIKE '%:table/%' THEN array_distinct(json_get_list(
            regexp_replace(replace(resources, '"arn"', '"ARN"'), '(:table/[^/"]+)/[^"]*"', '\1"', 'g'), '*', 'ARN'))
        -- Else the names in the request: of a batch the members of an object, of a transaction in the items of a list.
        ELSE coalesce(json_keys(request_parameters, 'requestItems'),
                      array_distinct(json_get_list(replace(request_parameters, '"TableName"', '"tableName"'),
                                                   'requestItems', '*', 'tableName')))
        END) AS named_table
    FROM key_calls
    WHERE table_name IS NOT NULL OR event_source = 'dynamodb.amazonaws.com')
WHERE table_name IS NOT NULL OR named_table LIKE 'arn:%:dynamodb:%:table/%' OR named_table NOT LIKE 'arn:%'
