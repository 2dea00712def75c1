-- Is there in the sink's own schema what pipelines need whose source is a queue? Both functions: one of an
-- earlier sql/ods_sink.sql, run for an older daemon, does not say that it kept records. $1: its name.
select to_regclass(format('%I.delivered_slot', $1::text)) is not null and
       (select count(*) = 2 from pg_catalog.pg_proc p
        join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        where n.nspname = $1 and p.proname = 'deliver' and p.prosrc like '%counted_since%');
