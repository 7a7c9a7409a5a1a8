-- title: The rotations of each key
-- row: rotation
-- description: KMS's own record of a rotation, with the material that the key has since; the call RotateKeyOnDemand alone until that record is here. In a multi-Region family each key has its own records.
-- column: rotated_at : when KMS rotated the key; of a call alone when it was made
-- column: kind : `automatic`, `on_demand`, or `imported` where the material is not KMS's own; NULL where the records do not tell
-- column: key_material_id : the material that the key has since, NULL where not told
-- column: event_id : KMS's record, else that of the call
SELECT key_arn, event_time, event_id, event_name, key_material_id,
       json_get_str(service_event_details, 'rotationType') AS rotation_type,
       coalesce(json_get_str(service_event_details, 'keyOrigin'),
                CASE event_name WHEN 'CreateKey' THEN json_get_str(response_elements, 'keyMetadata', 'origin')
                                WHEN 'ImportKeyMaterial' THEN 'EXTERNAL' END) AS key_origin
FROM calls
WHERE operation_class = 'lifecycle' AND outcome = 'success' AND key_arn IS NOT NULL
  AND event_name IN ('RotateKey', 'RotateKeyOnDemand', 'CreateKey', 'ImportKeyMaterial')
