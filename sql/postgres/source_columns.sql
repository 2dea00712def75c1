-- The columns of a source's table, in their order: name, type (a domain's own), its kind, NOT NULL,
-- modifier. $1: schema, $2: name. Read by src/verify/postgres.c, by place.
select a.attname, t.typname, t.typtype, a.attnotnull,
       case when d.typtype = 'd' then d.typtypmod else a.atttypmod end
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type d on d.oid = a.atttypid
join pg_catalog.pg_type t on t.oid = case when d.typtype = 'd' then d.typbasetype else d.oid end
where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')
order by a.attnum;
