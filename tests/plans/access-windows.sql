SELECT started, ended FROM dynamodb_access_windows WHERE table_name = 'orders'
