-- title: An external key store is new, or answers from another place
-- severity: high
-- why: Keys of an external store are held by whoever runs its proxy: turning it off turns off all data under them. Medium where the former address of the proxy is not known.
-- controls: NIST SC-12
-- attack: T1486 Data Encrypted for Impact
-- false-positives: A project that brings its own key manager, or moves it.
-- next: Ask who runs the proxy at that address; `aws kms describe-custom-key-stores` shows all stores.
-- set: default
-- needs: kms_writes
SELECT event_time, coalesce(key_account_id, recipient_account_id) AS account_id, aws_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, arrow_cast(NULL, 'Utf8') AS table_name, outcome, make_array(event_id) AS event_ids,
       CASE event_name WHEN 'CreateKey' THEN 'first key in an external key store in what was read'
                       WHEN 'CreateCustomKeyStore' THEN concat('new external key store, proxy ', coalesce(proxy, 'not told'))
                       ELSE concat('proxy of a key store changed from ', coalesce(proxy_before, 'one that is not told'),
                                   ' to ', proxy) END AS detail,
       CASE WHEN key_arn IS NULL THEN store END AS subject,
       CASE WHEN event_name = 'UpdateCustomKeyStore' AND proxy_before IS NULL THEN 'medium' END AS severity
FROM (
    SELECT *, lag(proxy) IGNORE NULLS OVER (PARTITION BY recipient_account_id, aws_region, store
                                            ORDER BY event_time, event_id) AS proxy_before,
           row_number() OVER (PARTITION BY recipient_account_id, event_name ORDER BY event_time, event_id) AS nth
    FROM (
        SELECT *, coalesce(json_get_str(request_parameters, 'customKeyStoreId'),
                           json_get_str(response_elements, 'customKeyStoreId'),
                           json_get_str(request_parameters, 'customKeyStoreName')) AS store,
               json_get_str(request_parameters, 'xksProxyUriEndpoint')
               || coalesce(json_get_str(request_parameters, 'xksProxyUriPath'), '') AS proxy
        FROM calls
        WHERE operation_class = 'lifecycle' AND outcome = 'success'
          AND event_name IN ('CreateCustomKeyStore', 'UpdateCustomKeyStore', 'CreateKey')
          AND coalesce(json_get_str(response_elements, 'keyMetadata', 'origin'),
                       json_get_str(request_parameters, 'customKeyStoreType'),
                       CASE WHEN json_contains(request_parameters, 'xksProxyUriEndpoint') THEN 'EXTERNAL_KEY_STORE' END)
              = 'EXTERNAL_KEY_STORE')) c
WHERE event_name = 'CreateCustomKeyStore'
   OR event_name = 'UpdateCustomKeyStore' AND proxy IS DISTINCT FROM proxy_before
   OR event_name = 'CreateKey' AND nth = 1
      AND NOT EXISTS (SELECT 1 FROM keys k
                      WHERE k.key_account_id = c.key_account_id AND k.origin = 'EXTERNAL_KEY_STORE'
                        AND k.created_at < c.event_time)
