SELECT operation, calls FROM table_access WHERE orphan IS NULL
