-- Is there in the sink's own schema what pipelines need whose source is a queue? $1: its name.
select to_regclass(format('%I.delivered_slot', $1::text)) is not null and
       exists (select from pg_catalog.pg_proc p
               join pg_catalog.pg_namespace n on n.oid = p.pronamespace
               where n.nspname = $1 and p.proname = 'deliver' and p.pronargs = 8);
