-- title: Refusals of AWS's own inventory services
-- description: AWS Config, Security Hub, Access Analyzer and their kin ask for every key and are refused many: nobody tried to get in. Only refusals of a service-linked role that its own service used count. They stand in all other answers as well.
SELECT noise_class, noise_evidence, recipient_account_id, aws_region, event_name, count(*) AS denied,
       count(DISTINCT key_arn) AS keys, min(event_time) AS first_denied, max(event_time) AS last_denied
FROM denials
WHERE noise_class IS NOT NULL
GROUP BY noise_class, noise_evidence, recipient_account_id, aws_region, event_name
ORDER BY noise_class, noise_evidence, recipient_account_id, aws_region, event_name
