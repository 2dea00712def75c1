-- May REPLACE do to a table what an upsert does? Not if it is no ordinary table, has a foreign key, or
-- a primary key of a part of a column. And is the primary key its only index? {}: the database, the
-- table, three times.
select
    exists (select 1 from information_schema.tables
        where table_schema = {} and table_name = {} and table_type = 'BASE TABLE'
            and engine = 'InnoDB')
    and not exists (select 1 from information_schema.table_constraints
        where table_schema = {} and table_name = {} and constraint_type = 'FOREIGN KEY')
    and coalesce(max(index_name = 'PRIMARY' and sub_part is not null), 0) = 0,
    coalesce(max(index_name <> 'PRIMARY'), 0) = 0
from information_schema.statistics where table_schema = {} and table_name = {}
