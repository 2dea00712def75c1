-- The columns that MariaDB was told to be JSON, by their checks. {}: the database, the table.
select constraint_name, check_clause from information_schema.check_constraints
where constraint_schema = {} and table_name = {} and check_clause like 'json_valid(%'
