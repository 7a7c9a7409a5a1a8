-- title: KMS calls that did not succeed, whatever the reason
-- row: KMS call with any outcome but `success`
SELECT * FROM calls WHERE operation_class IS NOT NULL AND outcome <> 'success'
