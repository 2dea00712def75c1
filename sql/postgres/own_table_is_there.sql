-- Does the sink's own schema have a table? Needs no right on it. $1: the schema, $2: the table.
select exists (select from pg_catalog.pg_class c
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace
               where n.nspname = $1 and c.relname = $2);
