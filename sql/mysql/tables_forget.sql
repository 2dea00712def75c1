-- A group no longer writes a table. {}: the table; the group, twice; the database and the name, both
-- twice.
delete from {} where consumer_group in ({}, concat({}, '.dlq'))
    and table_schema = if(@@lower_case_table_names, lower({}), {})
    and table_name = if(@@lower_case_table_names, lower({}), {})
