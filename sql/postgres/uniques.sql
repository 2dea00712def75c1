-- The columns of a table's unique indexes that ON CONFLICT can use, the primary key's first.
-- Constraints have an index by their table, none by theirs. $1: schema, $2: name. Read by src/sink/postgres/tables/catalog.c, by place.
select i.indexrelid, a.attname, i.indisprimary,
       (select pg_catalog.quote_ident(k.conname) from pg_catalog.pg_constraint k
        where k.conrelid = i.indrelid and k.conindid = i.indexrelid and k.contype in ('p', 'u') limit 1),
       pg_catalog.format('%I.%I', n.nspname, x.relname)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisunique and i.indisvalid
  and i.indimmediate and i.indpred is null and i.indexprs is null
join pg_catalog.pg_class x on x.oid = i.indexrelid
cross join lateral unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality as k (attnum, place)
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
where n.nspname = $1 and c.relname = $2
order by i.indisprimary desc, i.indexrelid, k.place;
