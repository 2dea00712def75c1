-- Let another process compare. $1: consumer group.
select pg_advisory_unlock('ods_sink.verify_runs'::regclass::oid::integer, hashtext($1));
