-- title: Who used which key
-- none: No use of a key was seen in what was read.
-- place: 1
-- sentence: {principal} used {key_arn|requested_alias|a key that is not told} ({via}): {calls:call}, {first_seen..last_seen}.
SELECT key_arn, principal, via, count(*) AS calls, min(event_time) AS first_seen, max(event_time) AS last_seen, requested_alias
FROM (
    SELECT key_arn, principal, coalesce(via_service, caller_class) AS via, event_time,
           -- All that is known of the key where the record does not tell which it was.
           CASE WHEN key_arn IS NULL THEN coalesce(alias_arn, requested_alias) END AS requested_alias
    FROM key_use
    -- GenerateRandom uses no key, and a ReEncrypt from a key to itself is one use of it.
    WHERE (key_arn IS NOT NULL OR event_name <> 'GenerateRandom')
      AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE)
GROUP BY key_arn, requested_alias, principal, via
ORDER BY calls DESC, key_arn, requested_alias, principal, via
