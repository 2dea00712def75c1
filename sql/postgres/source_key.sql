-- The columns of a source's primary key, in its order. $1: schema, $2: name.
select a.attname
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join lateral unnest(i.indkey) with ordinality k (column_number, place) on true
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.column_number
where n.nspname = $1 and c.relname = $2 and i.indisprimary
order by k.place;
