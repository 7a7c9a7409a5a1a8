-- KMS calls that did not succeed, whatever the reason.
SELECT * FROM calls WHERE operation_class IS NOT NULL AND outcome <> 'success'
