-- The columns of a table, view or foreign table, in their order, with what its own row says
-- beside each.
-- $1: schema, $2: name. Read by src/sink/postgres/tables/catalog.c, by place.
select a.attname, t.oid, case when d.typtype = 'd' then d.typtypmod else a.atttypmod end,
       a.attnotnull, a.atthasdef, a.attidentity,
       a.attgenerated, t.typarray, pg_catalog.format_type(a.atttypid, -1), t.typtype,
       coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''),
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       coalesce(pg_catalog.col_description(c.oid, a.attnum), ''),
       c.relkind in ('r', 'p') and not c.relhasrules and not c.relrowsecurity,
       e.oid, pg_catalog.format_type(e.oid, -1), c.relkind,
       pg_catalog.scale(1::pg_catalog.money::pg_catalog.numeric),
       pg_catalog.pg_get_expr(v.adbin, v.adrelid),
       case when l.collname <> 'default' then pg_catalog.format('%s.%I',
         l.collnamespace::pg_catalog.regnamespace, l.collname) end,
       not coalesce(l.collisdeterministic, true), c.relhassubclass or c.relkind = 'f',
       pg_catalog.has_column_privilege(c.oid, a.attnum, 'select'),
       pg_catalog.concat_ws(' ', c.oid, a.attnum, a.xmin),
       exists (select from pg_catalog.pg_trigger g where g.tgrelid = c.oid
               and g.tgname = 'ods_outbox' and not g.tgisinternal)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type d on d.oid = a.atttypid
join pg_catalog.pg_type t on t.oid = case when d.typtype = 'd' then d.typbasetype else d.oid end
left join pg_catalog.pg_collation l on l.oid = a.attcollation
left join pg_catalog.pg_attrdef v on v.adrelid = c.oid and v.adnum = a.attnum
  and a.attgenerated = ''
left join pg_catalog.pg_type e on e.oid = t.typelem and t.typcategory = 'A'
where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'f')
order by a.attnum;
