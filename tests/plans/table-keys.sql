SELECT table_name, key_arn, valid_from FROM table_keys WHERE key_kind = 'customer'
