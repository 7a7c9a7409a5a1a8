-- title: The versions of a key's policy, and what each newly allows to whom
-- description: One row per version that the logs hold. Lists are empty where a version says the same in other words, and NULL where the version before is not known or the text could not be read. Conditions are named in brackets and never judged. The text itself is `policy` of `key_policies`.
-- param: key key : ARN or id of the key, ARN or alias/NAME of an alias
SELECT key_arn, version, valid_from, valid_to, set_by, reading, newly_allows, notable, added, removed, changed, set_event_id
FROM key_policies
WHERE names_key(CAST($key AS VARCHAR), key_arn, NULL)
   OR key_arn IN (SELECT key_arn FROM alias_keys WHERE names_key(CAST($key AS VARCHAR), NULL, alias_arn))
ORDER BY key_arn, valid_from, version, set_event_id
