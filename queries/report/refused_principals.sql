-- title: The principals that were refused
-- none: No refusal was seen in what was read.
-- rest: keytrail query "SELECT principal, count(*) FROM denials GROUP BY principal"
-- narrows: denials
SELECT principal, count(*) AS refused, count(DISTINCT coalesce(key_arn, source_key_arn)) AS keys,
       count(*) FILTER (WHERE noise_class IS NULL) AS not_harmless, max(event_time) AS last_refused,
       count(first_success_after) AS let_in_later,
       count(*) FILTER (WHERE denial_effect = 'explicit') AS explicit,
       count(*) OVER () AS of_all, sum(count(*)) OVER () AS refused_in_all,
       sum(count(*) FILTER (WHERE noise_class IS NOT NULL)) OVER () AS harmless_in_all
FROM denials
GROUP BY principal
ORDER BY not_harmless DESC, refused DESC, principal
LIMIT 12
