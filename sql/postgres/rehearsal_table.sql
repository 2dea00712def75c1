-- What a copy of a table does not tell about a change of it: whether the user owns it, its bytes with
-- its indexes and parts, its rows by the statistics (-1: never counted), what uses one of the columns
-- $3 so that PostgreSQL refuses to change their type, the tables that foreign keys of those columns
-- lock as well (as JSON), and the foreign keys that refer to the table. $1: schema, $2: name.
select pg_catalog.pg_has_role(c.relowner, 'usage'),
       case when c.relkind = 'p' then
         (select sum(pg_catalog.pg_total_relation_size(p.relid))
          from pg_catalog.pg_partition_tree(c.oid) p)::bigint
       else pg_catalog.pg_total_relation_size(c.oid) end,
       c.reltuples::bigint,
       coalesce((select string_agg(distinct
           pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid), ', ')
         from pg_catalog.pg_depend d
         join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
         where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = c.oid
           and a.attname = any($3::name[])
           and d.classid in ('pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_trigger'::regclass,
             'pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_proc'::regclass,
             'pg_catalog.pg_publication_rel'::regclass)), ''),
       coalesce((select json_agg(format('%s (foreign key %I)',
           case when k.conrelid = c.oid then k.confrelid else k.conrelid end::regclass, k.conname))
         from pg_catalog.pg_constraint k
         where k.contype = 'f' and c.oid in (k.conrelid, k.confrelid)
           and exists (select from pg_catalog.pg_attribute a
             where a.attrelid = c.oid and a.attname = any($3::name[])
               and (k.conrelid = c.oid and a.attnum = any(k.conkey)
                    or k.confrelid = c.oid and a.attnum = any(k.confkey)))), '[]'),
       coalesce((select string_agg(format('foreign key %I of %s', k.conname, k.conrelid::regclass),
           ', ')
         from pg_catalog.pg_constraint k where k.contype = 'f' and k.confrelid = c.oid), '')
from pg_catalog.pg_class c
where c.oid = to_regclass(format('%I.%I', $1::text, $2::text)) and c.relkind in ('r', 'p');
