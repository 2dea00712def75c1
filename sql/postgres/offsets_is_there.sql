-- Does the sink's own schema have its stored offsets? $1: its name. Needs no right on it.
select exists (select from pg_catalog.pg_class c
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace
               where n.nspname = $1 and c.relname = 'offsets');
