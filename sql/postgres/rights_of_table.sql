-- What the user lacks to use a table. $1: its schema, $2: its name, $3: the rights that are wanted.
-- Those on columns are there if one column has them. Answers the rights, comma-separated, or null; may
-- the schema be used? the user; the schema and the table, quoted.
select (select string_agg(wanted.name, ', ' order by wanted.place)
        from unnest($3::text[]) with ordinality as wanted (name, place)
        where not case when wanted.name in ('delete', 'truncate')
                       then has_table_privilege(c.oid, wanted.name)
                       else has_any_column_privilege(c.oid, wanted.name) end),
       has_schema_privilege(n.oid, 'usage'), quote_ident(current_user), quote_ident(n.nspname),
       format('%I.%I', n.nspname, c.relname)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2;
