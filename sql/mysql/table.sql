-- What a table is. {}: the database, the table.
select coalesce(t.engine, ''), coalesce(e.transactions, 'YES'), t.table_comment
from information_schema.tables t left join information_schema.engines e on e.engine = t.engine
where t.table_schema = {} and t.table_name = {}
