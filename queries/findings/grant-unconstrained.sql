-- title: A grant to decrypt whatever the key protects
-- severity: medium
-- why: Somebody made the grant directly, it lets its grantee decrypt, re-encrypt or hand on grants, and no encryption context or source bounds it to one resource.
-- controls: NIST AC-6
-- attack: T1098 Account Manipulation
-- false-positives: Applications that encrypt without a context need such grants; asymmetric keys have no context.
-- next: `keytrail query open-grants -p key=KEY` shows the last use that it may have allowed; ask its maker for the reason, and for a constraint.
-- set: default
-- needs: kms_writes
SELECT event_time, key_account_id AS account_id, key_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, table_name, outcome, make_array(event_id) AS event_ids,
       concat('lets ', coalesce(grantee_principal, 'a grantee that is not told'), ' ', array_to_string(operations, ', '),
              ' without a constraint') AS detail, grantee_principal AS subject
FROM (
    SELECT *, json_get_list(request_parameters, 'operations') AS operations
    FROM calls
    WHERE event_name = 'CreateGrant' AND operation_class = 'grant' AND outcome = 'success' AND caller_class = 'direct'
      AND coalesce(cardinality(json_keys(request_parameters, 'constraints', 'encryptionContextSubset')), 0) = 0
      AND coalesce(cardinality(json_keys(request_parameters, 'constraints', 'encryptionContextEquals')), 0) = 0
      AND NOT json_contains(request_parameters, 'constraints', 'sourceArn'))
WHERE arrays_overlap(operations, make_array('Decrypt', 'ReEncryptFrom', 'ReEncryptTo', 'CreateGrant'))
