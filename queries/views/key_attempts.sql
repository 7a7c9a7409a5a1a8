-- KMS calls that use a key, one row for each key they concern: ReEncrypt has a source and a destination.
SELECT *, CASE WHEN event_name = 'ReEncrypt' THEN 'destination' ELSE 'only' END AS key_role
FROM calls
WHERE operation_class = 'crypto'
UNION ALL
SELECT * REPLACE (
    source_key_arn AS key_arn,
    split_part(source_key_arn, '/', 2) AS key_id,
    split_part(source_key_arn, ':', 5) AS key_account_id,
    split_part(source_key_arn, ':', 4) AS key_region,
    CASE WHEN split_part(source_key_arn, '/', 2) LIKE 'mrk-%'
        THEN concat(split_part(source_key_arn, ':', 5), '/', split_part(source_key_arn, '/', 2))
        ELSE source_key_arn END AS key_family
  ), 'source' AS key_role
FROM calls
WHERE operation_class = 'crypto' AND event_name = 'ReEncrypt' AND source_key_arn IS NOT NULL
