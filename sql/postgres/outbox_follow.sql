-- Have the changes of a table go into the outbox, or no longer. $1: the table, $2: the trigger's
-- arguments, $3: go into it.
select ods_sink.outbox_follow($1::pg_catalog.regclass, $2::text[], $3::boolean);
