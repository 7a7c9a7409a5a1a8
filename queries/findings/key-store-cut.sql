-- title: A custom key store was disconnected or deleted
-- severity: high
-- why: None of the keys in it can be used until it is connected again. Medium if it was.
-- controls: NIST SC-12
-- attack: T1489 Service Stop
-- false-positives: Maintenance of an HSM cluster or of an external key manager begins with this.
-- next: `aws kms connect-custom-key-store` brings it back; ask the principal for the maintenance that this belongs to.
-- set: default
-- needs: kms_writes
SELECT event_time, recipient_account_id AS account_id, aws_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       arrow_cast(NULL, 'Utf8') AS key_arn, arrow_cast(NULL, 'Utf8') AS table_name, outcome, make_array(event_id) AS event_ids,
       concat(event_name, CASE WHEN connected_at IS NOT NULL
                               THEN concat(', connected again on ', to_char(connected_at, '%Y-%m-%d %H:%M')) END) AS detail,
       store AS subject, CASE WHEN connected_at IS NOT NULL THEN 'medium' END AS severity
FROM (
    SELECT *, min(CASE event_name WHEN 'ConnectCustomKeyStore' THEN event_time END) OVER (
                  PARTITION BY recipient_account_id, aws_region, store ORDER BY event_time, event_id
                  ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS connected_at
    FROM (
        SELECT *, json_get_str(request_parameters, 'customKeyStoreId') AS store
        FROM calls
        WHERE operation_class = 'lifecycle' AND outcome = 'success'
          AND event_name IN ('ConnectCustomKeyStore', 'DisconnectCustomKeyStore', 'DeleteCustomKeyStore')))
WHERE event_name <> 'ConnectCustomKeyStore'
