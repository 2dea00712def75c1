-- A group is about to write a table. {}: the table, the group; the database and the name, both twice.
insert into {} (consumer_group, table_schema, table_name) values ({},
    if(@@lower_case_table_names, lower({}), {}), if(@@lower_case_table_names, lower({}), {}))
on duplicate key update consumer_group = values(consumer_group)
