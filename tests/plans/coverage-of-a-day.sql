SELECT region, hour, state FROM coverage WHERE account_id = '111122223333' AND hour >= '2026-03-10'
