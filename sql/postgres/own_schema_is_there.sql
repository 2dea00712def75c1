-- Is the sink's own schema there, with what this version needs in it? $1: its name.
select to_regclass(format('%I.offsets', $1::text)) is not null and
       to_regclass(format('%I.schema_history', $1::text)) is not null and
       to_regclass(format('%I.topic_tables', $1::text)) is not null and
       to_regclass(format('%I.control_members', $1::text)) is not null and
       to_regclass(format('%I.shadows', $1::text)) is not null and
       to_regclass(format('%I.history_gaps', $1::text)) is not null and
       (select count(*) = 6 from pg_catalog.pg_proc p
        join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        where n.nspname = $1 and (p.proname, p.pronargs) in
              (('advance', 7), ('claim_table', 6), ('order_topics', 9), ('shadow_exchange', 10),
               ('freshen', 6), ('wait_until', 3)));
