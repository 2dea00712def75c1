-- What a copy of a table lacks, as statements, and where it lies: the table's comment, and the name of
-- its primary key. $1: schema, $2: name, $3: the copy's, a temporary table of this session.
select n.nspname, v.sql
from pg_catalog.pg_namespace n
join pg_catalog.pg_class t on t.relnamespace = n.oid and t.relname = $3
join pg_catalog.pg_class c on c.oid = to_regclass(format('%I.%I', $1::text, $2::text))
left join pg_catalog.pg_constraint k on k.conrelid = c.oid and k.contype = 'p'
left join pg_catalog.pg_constraint l on l.conrelid = t.oid and l.contype = 'p'
cross join lateral (values
    (format('comment on table pg_temp.%I is %L', t.relname, obj_description(c.oid, 'pg_class'))),
    (case when k.conname <> l.conname then
       format('alter table pg_temp.%I rename constraint %I to %I', t.relname, l.conname, k.conname)
     end)) as v (sql)
where n.oid = pg_catalog.pg_my_temp_schema();
