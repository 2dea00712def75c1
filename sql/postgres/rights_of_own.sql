-- Tables of the sink's own schema on which the user lacks one of the rights that the head of
-- sql/ods_sink.sql tells an administrator to grant; null: none. $1: the schema. And: may it be used?
-- the user; the schema, quoted.
select (select string_agg(c.relname, ', ' order by c.relname) from pg_catalog.pg_class c
        where c.relnamespace = n.oid and c.relkind in ('r', 'p')
          and not (has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
                   and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete')
                   and has_table_privilege(c.oid, 'truncate'))),
       has_schema_privilege(n.oid, 'usage'), quote_ident(current_user), quote_ident(n.nspname)
from pg_catalog.pg_namespace n where n.nspname = $1;
