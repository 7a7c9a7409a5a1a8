-- Every call once, one row for each key it concerns: ReEncrypt has a `source` and a `destination` row, each with the key,
-- alias, material, algorithm and encryption context of its own side. A filter on these rows reaches every scan.
SELECT e.*
FROM (
    -- Records that correct an earlier one.
    SELECT event_id, revises_event_id FROM event_companions WHERE revises_event_id IS NOT NULL) r
RIGHT ANTI JOIN (
    SELECT e.*
    FROM (
        -- Which copy stands for a call that several accounts logged: the caller's, else that of an account which owns
        -- all of it, else the key owner's. A VPC endpoint's copy says least.
        SELECT shared_event_id, event_name,
               min(concat(CASE WHEN event_category = 'NetworkActivity' THEN '1' ELSE '0' END,
                          CASE account_side WHEN 'caller' THEN '0' WHEN 'same' THEN '1' WHEN 'owner' THEN '2' ELSE '3' END,
                          recipient_account_id)) AS best
        FROM event_companions
        WHERE shared_event_id IS NOT NULL AND recipient_account_id IS NOT NULL
        GROUP BY shared_event_id, event_name
        HAVING min(recipient_account_id) <> max(recipient_account_id)) c
    RIGHT ANTI JOIN (
        SELECT *, 'only' AS key_role
        FROM events
        WHERE (event_category IS DISTINCT FROM 'NetworkActivity') AND event_name IS DISTINCT FROM 'ReEncrypt'
        UNION ALL
        -- A VPC endpoint's record, unless the service logged the call as well.
        SELECT n.*, CASE n.event_name WHEN 'ReEncrypt' THEN 'destination' ELSE 'only' END AS key_role
        FROM events n
        WHERE n.event_category = 'NetworkActivity' AND NOT EXISTS (
            SELECT 1 FROM event_companions m
            WHERE m.event_category IN ('Management', 'Data') AND m.vpc_endpoint_id IS NOT NULL
              AND m.request_id = n.request_id)
        UNION ALL
        -- The resource of a ReEncrypt is on the side whose context names it.
        SELECT * EXCLUDE (context) REPLACE (
            CASE WHEN strpos(context, resource_name) > 0 THEN resource_service END AS resource_service,
            CASE WHEN strpos(context, resource_name) > 0 THEN resource_type END AS resource_type,
            CASE WHEN strpos(context, resource_name) > 0 THEN resource_arn END AS resource_arn,
            CASE WHEN strpos(context, resource_name) > 0 THEN resource_name END AS resource_name,
            CASE WHEN strpos(context, resource_name) > 0 THEN resource_trust END AS resource_trust,
            CASE WHEN strpos(context, resource_name) > 0 THEN table_name END AS table_name,
            CASE WHEN strpos(context, resource_name) > 0 THEN table_arn END AS table_arn)
        FROM (
            SELECT * REPLACE (
                CASE WHEN requested_alias = json_get_str(request_parameters, 'destinationKeyId')
                       OR requested_alias IS DISTINCT FROM json_get_str(request_parameters, 'sourceKeyId')
                    THEN requested_alias END AS requested_alias),
                'destination' AS key_role, json_get_json(request_parameters, 'destinationEncryptionContext') AS context
            FROM events
            WHERE event_name = 'ReEncrypt' AND event_category IS DISTINCT FROM 'NetworkActivity'
            UNION ALL
            -- Only the columns of the destination are read from the record, so these come from its JSON.
            SELECT * REPLACE (
                source_key_arn AS key_arn,
                split_part(source_key_arn, '/', 2) AS key_id,
                split_part(source_key_arn, ':', 5) AS key_account_id,
                split_part(source_key_arn, ':', 4) AS key_region,
                CASE WHEN source_key_arn LIKE '%:key/mrk-%'
                    THEN concat(split_part(source_key_arn, ':', 5), '/', split_part(source_key_arn, '/', 2))
                    ELSE source_key_arn END AS key_family,
                CASE WHEN strpos(lower(resources), split_part(source_key_arn, '/', 2)) > 0 THEN 'resources'
                    WHEN json_contains(request_parameters, 'sourceKeyId') THEN 'request'
                    ELSE 'error_message' END AS key_source,
                CASE WHEN json_get_str(request_parameters, 'sourceKeyId') LIKE '%alias/%'
                    THEN json_get_str(request_parameters, 'sourceKeyId') END AS requested_alias,
                json_get_str(additional_event_data, 'sourceKeyMaterialId') AS key_material_id,
                json_get_str(request_parameters, 'sourceEncryptionAlgorithm') AS encryption_algorithm,
                -- Keys and values of a flat object, each joined by a character that is in no context.
                CASE WHEN strpos(context, chr(127)) = 0 THEN map(
                    array_pop_back(string_to_array(json_get_str(concat('{"k":"', regexp_replace(context,
                        '[{,]"((?:[^"\\]|\\.)*)":"((?:[^"\\]|\\.)*)"\}?', concat('\1', chr(127)), 'g'), '"}'), 'k'), chr(127))),
                    array_pop_back(string_to_array(json_get_str(concat('{"v":"', regexp_replace(context,
                        '[{,]"((?:[^"\\]|\\.)*)":"((?:[^"\\]|\\.)*)"\}?', concat('\2', chr(127)), 'g'), '"}'), 'v'), chr(127)))
                    ) END AS encryption_context)
            FROM (
                SELECT *, 'source' AS key_role, json_get_json(request_parameters, 'sourceEncryptionContext') AS context
                FROM events
                WHERE event_name = 'ReEncrypt' AND source_key_arn IS NOT NULL
                  AND event_category IS DISTINCT FROM 'NetworkActivity'))) e
    ON c.shared_event_id = e.shared_event_id AND c.event_name = e.event_name
       AND substr(c.best, 3) <> e.recipient_account_id) e
ON r.revises_event_id = e.event_id AND (r.event_id <> e.event_id OR e.revises_event_id IS DISTINCT FROM e.event_id)
