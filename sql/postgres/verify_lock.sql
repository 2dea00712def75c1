-- Be the one process of a group that compares, for as long as this session lasts. $1: consumer group.
select pg_try_advisory_lock('ods_sink.verify_runs'::regclass::oid::integer, hashtext($1));
