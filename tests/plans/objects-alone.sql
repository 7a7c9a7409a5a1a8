SELECT uri, kept FROM objects WHERE status = 'read'
