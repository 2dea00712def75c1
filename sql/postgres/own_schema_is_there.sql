-- Is the sink's own schema there, with what this version needs in it? $1: its name.
select to_regclass(format('%I.offsets', $1::text)) is not null and
       to_regclass(format('%I.schema_history', $1::text)) is not null and
       exists (select from pg_catalog.pg_proc p
               join pg_catalog.pg_namespace n on n.oid = p.pronamespace
               where n.nspname = $1 and p.proname = 'advance' and p.pronargs = 5) and
       exists (select from pg_catalog.pg_proc p
               join pg_catalog.pg_namespace n on n.oid = p.pronamespace
               where n.nspname = $1 and p.proname = 'claim_table' and p.pronargs = 6);
