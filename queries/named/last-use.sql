-- title: The last use of a key, as the logs and as KMS tell it
-- description: Always one row: the last success that the logs hold, how far they reach in the key's account and Region, and, with a recorded answer of GetKeyLastUsage, if the two agree, or which is newer and why. The hours are those of that account and Region: a bad one (a log is missing, KMS was left out, logging was off, something could not be read) may hold a later use, and where neither knows a use it leaves the verdict `unknown`; so does a place without a log. A key is named by ARN, id or alias. A ReEncrypt is a use of both its keys, and each replica of a multi-Region key has a last use of its own: the answer is about one key, so with it the row is about that one alone, unless it is another.
-- param: key key required : ARN or id of the key, ARN or alias/NAME of an alias
-- param: answer text : the JSON that aws kms get-key-last-usage gave, as answer=@FILE
WITH attempts AS (
    SELECT key_arn, key_id, event_time, event_id, call_id, event_name, principal, outcome
    FROM key_attempts
    -- A record may not tell which key it was. A ReEncrypt from a key to itself is one use of it.
    WHERE (key_arn IS NOT NULL OR event_name <> 'GenerateRandom')
      AND (key_role = 'destination' AND source_key_arn = key_arn) IS NOT TRUE
      AND (names_key(CAST($key AS VARCHAR), key_arn, coalesce(alias_arn, requested_alias))
           -- The keys that an alias was seen to name; of what names no key, the aliases of the key.
           OR coalesce(key_arn, alias_arn) IN (
               SELECT CASE WHEN names_key(CAST($key AS VARCHAR), NULL, alias_arn) THEN key_arn ELSE alias_arn END
               FROM alias_keys WHERE names_key(CAST($key AS VARCHAR), key_arn, alias_arn)))),
told AS (
    SELECT json_get_str(answer, 'KeyId') AS key_told,
           -- The CLI writes a time as text, or as seconds since 1970, which lie before the year 10000.
           coalesce(try_cast(json_get_str(answer, 'KeyLastUsage', 'Timestamp') AS TIMESTAMPTZ),
                    to_timestamp_micros(CAST(CASE WHEN seconds_told BETWEEN 0 AND 253402300799 THEN seconds_told END * 1e6 AS BIGINT))) AS last_told,
           coalesce(try_cast(json_get_str(answer, 'TrackingStartDate') AS TIMESTAMPTZ),
                    to_timestamp_micros(CAST(CASE WHEN tracked_seconds BETWEEN 0 AND 253402300799 THEN tracked_seconds END * 1e6 AS BIGINT))) AS tracked_from,
           json_get_json(answer, 'KeyLastUsage', 'Timestamp') IS NOT NULL
               OR json_get_str(answer, 'KeyLastUsage', 'CloudTrailEventId') IS NOT NULL
               OR json_get_str(answer, 'KeyLastUsage', 'KmsRequestId') IS NOT NULL AS is_use_given,
           json_get_str(answer, 'KeyLastUsage', 'Operation') AS operation_told,
           lower(json_get_str(answer, 'KeyLastUsage', 'CloudTrailEventId')) AS event_id_told,
           lower(json_get_str(answer, 'KeyLastUsage', 'KmsRequestId')) AS request_id_told,
           answer IS NOT NULL AS is_given,
           json_contains(answer, 'KeyId') AND json_contains(answer, 'TrackingStartDate') AS is_answer
    FROM (SELECT answer, try_cast(json_get_json(answer, 'KeyLastUsage', 'Timestamp') AS DOUBLE) AS seconds_told,
                 try_cast(json_get_json(answer, 'TrackingStartDate') AS DOUBLE) AS tracked_seconds
          FROM (SELECT CAST($answer AS VARCHAR) AS answer))),
-- The calls that the answer names. Each account has an id of its own for a call between two.
calls_told AS (
    SELECT DISTINCT e.call_id
    FROM told t
    JOIN (SELECT event_id, request_id, call_id FROM events WHERE operation_class = 'crypto') e
        ON e.event_id = t.event_id_told OR lower(e.request_id) = t.request_id_told),
-- The logs of the key's account and Region.
reach AS (
    SELECT recipient_account_id, aws_region, min(event_time) AS logs_from, max(event_time) AS logs_to
    FROM events GROUP BY recipient_account_id, aws_region),
-- Their hours, and the last in which a use may be lost.
hours AS (
    SELECT account_id, region, sum(hours) AS hours_asked,
           coalesce(sum(hours) FILTER (WHERE verdict = 'good'), 0) AS hours_good,
           coalesce(sum(hours) FILTER (WHERE verdict = 'bad'), 0) AS hours_bad,
           max(until_hour) FILTER (WHERE verdict = 'bad') AS bad_until
    FROM coverage_spans WHERE hours IS NOT NULL GROUP BY account_id, region),
-- What nobody can place may be of these hours.
apart AS (SELECT coalesce(sum(faults), 0) AS faults FROM coverage_spans WHERE hours IS NULL),
-- An answer about another key says nothing of this one.
same AS (
    SELECT t.*,
           names_key(CAST($key AS VARCHAR), t.key_told, NULL) OR CAST($key AS VARCHAR) LIKE concat('%:key/', t.key_told)
               OR n.attempts > 0 AS is_same_key
    FROM told t
    CROSS JOIN (SELECT count(*) AS attempts FROM told t JOIN attempts a ON t.key_told IN (a.key_arn, a.key_id)) n),
-- All attempts, or those of the key that the answer is about.
of_key AS (
    SELECT a.*, c.call_id IS NOT NULL AS is_told
    FROM same t
    JOIN attempts a ON t.is_same_key IS NOT TRUE OR t.key_told IN (a.key_arn, a.key_id)
    LEFT JOIN calls_told c ON c.call_id = a.call_id),
last AS (
    SELECT array_agg(DISTINCT key_arn ORDER BY key_arn) FILTER (WHERE key_arn IS NOT NULL) AS keys,
           max(event_time) FILTER (WHERE outcome = 'success') AS last_use,
           first_value(key_arn ORDER BY (outcome = 'success') DESC, event_time DESC NULLS LAST, event_id DESC) AS key_arn,
           first_value(event_id ORDER BY event_time DESC NULLS LAST, event_id DESC)
               FILTER (WHERE outcome = 'success') AS event_id,
           first_value(event_name ORDER BY event_time DESC NULLS LAST, event_id DESC)
               FILTER (WHERE outcome = 'success') AS operation,
           first_value(principal ORDER BY event_time DESC NULLS LAST, event_id DESC)
               FILTER (WHERE outcome = 'success') AS principal,
           count(*) FILTER (WHERE outcome = 'success') AS uses,
           count(*) FILTER (WHERE outcome <> 'success') AS failed,
           max(event_time) FILTER (WHERE outcome <> 'success') AS last_failed,
           max(event_time) FILTER (WHERE outcome = 'success' AND is_told) AS told_use
    FROM of_key),
compared AS (
    SELECT j.*, r.logs_from, r.logs_to, coalesce(h.hours_asked, 0) AS hours_asked, coalesce(h.hours_good, 0) AS hours_good,
           coalesce(h.hours_bad, 0) AS hours_bad, a.faults,
           h.bad_until IS NOT NULL AND (j.last_use IS NULL OR h.bad_until > j.last_use) AS is_bad_since
    FROM (
        SELECT l.*, t.*, date_trunc('second', t.last_told) AS second_told,
               coalesce(l.key_arn, CASE WHEN t.is_same_key THEN t.key_told END, CAST($key AS VARCHAR)) AS named
        FROM same t
        CROSS JOIN last l) j
    LEFT JOIN reach r
        ON r.recipient_account_id = split_part(j.named, ':', 5) AND r.aws_region = split_part(j.named, ':', 4)
    LEFT JOIN hours h ON h.account_id = split_part(j.named, ':', 5) AND h.region = split_part(j.named, ':', 4)
    CROSS JOIN apart a),
judged AS (
    SELECT *,
           CASE WHEN NOT is_given THEN NULL
                WHEN is_answer IS NOT TRUE THEN 'unreadable'
                WHEN is_same_key IS NOT TRUE THEN 'other_key'
                WHEN cardinality(keys) > 1 THEN 'several_keys'
                -- KMS may count a call a moment after its time.
                WHEN told_use = last_use
                    AND second_told NOT BETWEEN last_use - INTERVAL '1 minute' AND last_use + INTERVAL '1 minute' THEN 'unreadable'
                WHEN told_use = last_use THEN 'agree'
                WHEN last_told IS NULL AND is_use_given THEN 'unreadable'
                WHEN last_told IS NULL AND last_use IS NULL AND (hours_bad > 0 OR faults > 0 OR logs_to IS NULL) THEN 'unknown'
                WHEN last_told IS NULL AND (last_use IS NULL OR last_use < tracked_from) THEN 'agree'
                WHEN last_told IS NULL THEN 'logs_newer'
                WHEN last_use IS NULL OR second_told > last_use THEN 'answer_newer'
                WHEN second_told < last_use THEN 'logs_newer'
                ELSE 'not_in_logs' END AS verdict
    FROM compared)
SELECT CAST($key AS VARCHAR) AS key, key_arn, keys, last_use, operation, event_id, principal, uses, failed, last_failed,
       logs_from, logs_to, hours_asked, hours_good, hours_bad, last_told, operation_told, event_id_told, tracked_from, verdict,
       CASE coalesce(verdict, 'not_given')
           WHEN 'not_given' THEN CASE
               WHEN is_bad_since THEN 'a later use may be lost: in a bad hour a log is missing or unreadable, KMS was left out, or logging was off' END
           WHEN 'unknown' THEN CASE
               WHEN hours_bad > 0 THEN 'neither knows a use, and one may be lost: in a bad hour a log is missing or unreadable, KMS was left out, or logging was off'
               WHEN faults > 0 THEN 'neither knows a use, and one may be lost: something that could not be read may be of the key''s account and Region'
               ELSE 'the answer knows no use, and no log is here that is known to be of the key''s account and Region' END
           WHEN 'unreadable' THEN CASE
               WHEN is_answer IS TRUE AND last_told IS NOT NULL THEN 'the time in the answer is not that of the call that it names'
               WHEN is_answer IS TRUE THEN 'the time of the use in the answer cannot be read'
               ELSE 'the answer is not one of GetKeyLastUsage' END
           WHEN 'other_key' THEN concat('the answer is about ', key_told)
           WHEN 'several_keys' THEN 'the answer names its key by an id that several keys have'
           WHEN 'agree' THEN CASE
               WHEN told_use = last_use THEN 'the call that the answer names is the last one here'
               WHEN last_use IS NULL THEN 'neither knows a use'
               ELSE 'the last use here is from before KMS began to keep track' END
           WHEN 'logs_newer' THEN CASE
               WHEN last_told IS NULL THEN 'the answer knows no use: it was recorded before this one'
               WHEN told_use IS NULL THEN 'the answer was recorded before this use, and the call that it names is not here'
               ELSE 'the answer was recorded before this use' END
           WHEN 'not_in_logs' THEN 'the answer names another call of the same second, which is not here'
           WHEN 'answer_newer' THEN CASE
               WHEN logs_to IS NULL THEN 'no log of the key''s account and Region is here'
               WHEN second_told > logs_to THEN 'the logs, or the interval asked for, end before it'
               WHEN second_told < logs_from THEN 'the logs, or the interval asked for, begin after it'
               ELSE 'the logs lack it: one is missing, or the scope leaves it out' END
           END AS why
FROM judged
