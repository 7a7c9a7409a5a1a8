-- title: Key material was imported that expires within 30 days
-- severity: high
-- why: When it expires, KMS deletes the material and the key is unusable: a way to encrypt data first and lose it by the clock. Low where the date could not be read.
-- controls: NIST SC-12
-- attack: T1486 Data Encrypted for Impact
-- false-positives: Policies that renew imported material every few weeks, and keys for tests.
-- next: `keytrail trace KEY` shows what was encrypted under it since; ask who holds the material, and import it again without an end before the date.
-- set: default
-- needs: kms_writes
SELECT event_time, key_account_id AS account_id, key_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, arrow_cast(NULL, 'Utf8') AS table_name, outcome, make_array(event_id) AS event_ids,
       CASE WHEN expires IS NOT NULL THEN concat('imported material expires on ', expires)
            ELSE concat('possible: imported material expires at a date that cannot be read: ', coalesce(valid_to, 'none'))
            END AS detail,
       CASE WHEN expires IS NULL THEN 'low' END AS severity
FROM (
    SELECT *,
           -- AWS writes `Nov 2, 2021, 11:25:25 PM` or `Apr 12, 2021 18:58:30 PM`; the day is enough.
           coalesce(TRY_CAST(concat(split_part(valid_to, ' ', 3), '-',
                                    (strpos('JanFebMarAprMayJunJulAugSepOctNovDec', split_part(valid_to, ' ', 1)) + 2) / 3,
                                    '-', split_part(valid_to, ' ', 2)) AS DATE),
                    TRY_CAST(substr(valid_to, 1, 10) AS DATE)) AS expires
    FROM (
        SELECT * EXCLUDE (valid_to), replace(valid_to, ',', '') AS valid_to
        FROM (SELECT *, json_get_str(request_parameters, 'validTo') AS valid_to FROM calls)
        WHERE event_name = 'ImportKeyMaterial' AND operation_class = 'lifecycle' AND outcome = 'success'
          -- To expire is what a call asks for that says nothing but the date.
          AND coalesce(json_get_str(request_parameters, 'expirationModel'),
                       CASE WHEN valid_to IS NOT NULL THEN 'KEY_MATERIAL_EXPIRES' END) = 'KEY_MATERIAL_EXPIRES'))
WHERE expires IS NULL OR expires <= date_trunc('day', event_time) + INTERVAL '30 days'
