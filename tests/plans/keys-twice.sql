SELECT a.key_arn FROM keys a JOIN keys b ON a.key_arn = b.key_arn WHERE a.uses > b.denied
