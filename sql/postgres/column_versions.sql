-- What changes with each definition of a table's columns, as the last value of columns.sql.
-- $1: schema, $2: name.
select pg_catalog.concat_ws(' ', c.oid, a.attnum, a.xmin)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'f')
order by a.attnum;
