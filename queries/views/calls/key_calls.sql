-- title: Every call once, for each key that it concerns
-- row: call × key that it concerns
-- description: ReEncrypt has a `source` and a `destination` row, each with the key, alias, material, algorithm and encryption context of its own side; of the resource and the table the source's row has those that its context names. Other accounts' copies of a call, VPC endpoints' records of calls that the service logged as well, and records that a later one corrects are left out.
-- column: key_role : the part of the key in the call: `only`, or of ReEncrypt `source` or `destination`
-- column: alias_arn : the ARN of `requested_alias`; a bare alias is of the caller's account and Region, NULL where these are not told
SELECT e.*,
       -- A bare alias is of the caller's account and Region, in the partition of the other ARNs. NULL where these are not told.
       CASE WHEN starts_with(e.requested_alias, 'alias/')
           THEN 'arn:' || split_part(coalesce(e.key_arn, e.principal_arn), ':', 2) || ':kms:' || e.aws_region || ':'
                || e.recipient_account_id || ':' || e.requested_alias
           ELSE e.requested_alias END AS alias_arn
-- What is small stands first in these joins: it is what they hold in memory.
FROM corrections r
RIGHT ANTI JOIN (
    SELECT e.*
    FROM (
        -- Which copy stands for a call that several accounts logged: the caller's, else that of an account which owns all of
        -- it, else the key owner's. A VPC endpoint's copy says least.
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
        -- The alias of a ReEncrypt may be its source's.
        SELECT * REPLACE (
            CASE WHEN requested_alias = json_get_str(request_parameters, 'destinationKeyId')
                   OR requested_alias IS DISTINCT FROM json_get_str(request_parameters, 'sourceKeyId')
                THEN requested_alias END AS requested_alias
          ), 'destination' AS key_role
        FROM events
        WHERE event_name = 'ReEncrypt' AND event_category IS DISTINCT FROM 'NetworkActivity'
        UNION ALL
        -- A VPC endpoint's record, unless the service logged the call as well.
        SELECT n.*, 'only' AS key_role
        FROM events n
        WHERE n.event_category = 'NetworkActivity' AND NOT EXISTS (
            SELECT 1 FROM event_companions m
            WHERE m.event_category IN ('Management', 'Data') AND m.vpc_endpoint_id IS NOT NULL
              AND m.request_id = n.request_id)
        UNION ALL
        SELECT * EXCLUDE (source_context, has_resource) REPLACE (
            source_key_arn AS key_arn,
            split_part(source_key_arn, '/', 2) AS key_id,
            split_part(source_key_arn, ':', 5) AS key_account_id,
            split_part(source_key_arn, ':', 4) AS key_region,
            CASE WHEN source_key_arn LIKE '%:key/mrk-%'
                THEN concat(split_part(source_key_arn, ':', 5), '/', split_part(source_key_arn, '/', 2))
                ELSE source_key_arn END AS key_family,
            CASE WHEN json_get_str(request_parameters, 'sourceKeyId') LIKE '%alias/%'
                THEN json_get_str(request_parameters, 'sourceKeyId') END AS requested_alias,
            json_get_str(additional_event_data, 'sourceKeyMaterialId') AS key_material_id,
            json_get_str(request_parameters, 'sourceEncryptionAlgorithm') AS encryption_algorithm,
            source_context AS encryption_context,
            -- The record's resource is the destination's, the source's or both's.
            CASE WHEN has_resource THEN resource_service END AS resource_service,
            CASE WHEN has_resource THEN resource_type END AS resource_type,
            CASE WHEN has_resource THEN resource_arn END AS resource_arn,
            CASE WHEN has_resource THEN resource_name END AS resource_name,
            CASE WHEN has_resource THEN resource_trust END AS resource_trust,
            CASE WHEN has_resource THEN table_name END AS table_name,
            CASE WHEN has_resource THEN table_arn END AS table_arn
          ), 'source' AS key_role
        FROM (
            SELECT *, array_has(map_values(source_context), resource_arn)
                      OR array_has(map_values(source_context), resource_name) AS has_resource
            FROM (SELECT *, json_get_map(request_parameters, 'sourceEncryptionContext') AS source_context FROM events))
        WHERE operation_class = 'crypto' AND event_name = 'ReEncrypt' AND source_key_arn IS NOT NULL
          AND event_category IS DISTINCT FROM 'NetworkActivity') e
    ON c.shared_event_id = e.shared_event_id AND c.event_name = e.event_name
       AND substr(c.best, 3) <> e.recipient_account_id) e
-- A correction may have the id of what it corrects, and stays.
ON r.event_id = e.event_id AND (r.corrected_by <> e.event_id OR (e.revises_event_id IS DISTINCT FROM e.event_id))
