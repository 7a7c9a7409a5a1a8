SELECT count(DISTINCT principal), count(*), count(*) FILTER (WHERE outcome = 'denied') FROM dynamodb_key_attempts
