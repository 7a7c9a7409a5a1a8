-- title: Accounts that used keys of other accounts, and whether their logs are here
-- description: Where `has_logs` is false, no log of the caller's account is here: its refused calls are in that log alone, and so are the sessions of its people and the changes of their policies. Of an account with `has_logs`, Regions and hours may still be missing, which `coverage-holes` tells.
-- param: key key : ARN or id of the key, ARN or alias/NAME of an alias
SELECT u.principal_account_id, l.account_id IS NOT NULL AS has_logs, u.key_account_id, u.calls, u.keys, u.principals,
       u.first_seen, u.last_seen
FROM (
    SELECT principal_account_id, key_account_id, count(DISTINCT call_id) AS calls, count(DISTINCT key_arn) AS keys,
           count(DISTINCT principal) AS principals, min(event_time) AS first_seen, max(event_time) AS last_seen
    FROM key_use
    WHERE principal_account_id <> key_account_id
      AND (names_key(CAST($key AS VARCHAR), key_arn, coalesce(alias_arn, requested_alias))
           OR key_arn IN (SELECT key_arn FROM alias_keys WHERE names_key(CAST($key AS VARCHAR), NULL, alias_arn)))
    GROUP BY principal_account_id, key_account_id) u
LEFT JOIN (SELECT DISTINCT account_id FROM coverage_spans WHERE objects > 0) l ON l.account_id = u.principal_account_id
ORDER BY has_logs, u.principal_account_id, u.key_account_id
