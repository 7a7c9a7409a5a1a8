-- title: Failed calls that concern KMS, as each service logged them
-- row: call that KMS failed, or of another service that failed because of KMS, with any outcome but `success`
-- description: Another service's call is here by its error's code, by an action of KMS that was refused, or by a message that speaks of KMS. `failures` has an error that both logged once.
SELECT *
FROM calls
WHERE outcome <> 'success'
  AND (operation_class IS NOT NULL
       OR starts_with(denied_action, 'kms:')
       -- A refusal of another action is that service's own, whatever its resource is called.
       OR (denied_action IS NULL
           AND (regexp_like(error_code, '(^|[.#])([Kk]ms|KMS|EncryptionKey|CustomerKey|CustomerManagedKey|InvalidKMS)')
                OR error_code IN ('DecryptionFailure', 'EncryptionFailure')
                OR regexp_like(error_message, 'arn:aws[a-z-]*:kms:|customer master key|KMS [Kk]ey|KMS Exception|Service: (AWSKMS|Kms)')
                OR (outcome = 'denied' AND regexp_like(error_message, '(^|[^A-Za-z0-9_-])KMS([^A-Za-z0-9_-]|$)')))))
