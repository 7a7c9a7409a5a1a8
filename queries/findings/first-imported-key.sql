-- title: The first key with imported material of an account
-- severity: medium
-- why: Whoever imports the material keeps a copy, and can take it from everybody else. An account that never did so has a reason to know why it starts. First means first in what was read.
-- controls: NIST SC-12
-- attack: T1486 Data Encrypted for Impact
-- false-positives: A project that brings its own keys, or an account whose earlier history was not read.
-- next: Ask who holds the material and which data the key is for; `keytrail trace KEY` shows what was encrypted under it.
-- set: default
-- needs: kms_writes
SELECT event_time, key_account_id AS account_id, key_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, arrow_cast(NULL, 'Utf8') AS table_name, outcome, make_array(event_id) AS event_ids,
       CASE event_name WHEN 'CreateKey' THEN 'first key for imported material in what was read'
                       ELSE 'first import of key material in what was read' END AS detail
FROM (
    SELECT *, row_number() OVER (PARTITION BY key_account_id ORDER BY event_time, event_id) AS nth
    FROM calls
    WHERE operation_class = 'lifecycle' AND outcome = 'success' AND key_arn IS NOT NULL
      AND (event_name = 'ImportKeyMaterial'
           OR event_name = 'CreateKey' AND json_get_str(response_elements, 'keyMetadata', 'origin') = 'EXTERNAL')) c
WHERE nth = 1
  AND NOT EXISTS (SELECT 1 FROM keys k
                  WHERE k.key_account_id = c.key_account_id AND k.origin = 'EXTERNAL' AND k.created_at < c.event_time)
