-- title: Refusals by reason
-- none: No refusal was seen in what was read.
-- rest: keytrail query denials-explained
-- narrows: denials
SELECT denial_reason, denial_effect, count(*) AS refused, count(DISTINCT principal) AS principals,
       count(DISTINCT coalesce(key_arn, source_key_arn)) AS keys, count(first_success_after) AS let_in_later,
       count(*) FILTER (WHERE first_success_after IS NULL) AS not_let_in,
       count(*) FILTER (WHERE noise_class IS NOT NULL) AS harmless
FROM denials
GROUP BY denial_reason, denial_effect
ORDER BY refused DESC, denial_reason, denial_effect
