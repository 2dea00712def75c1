-- Be the one process of a group that checks, for as long as this session lasts. $1: consumer group.
select pg_try_advisory_lock('ods_sink.quality'::regclass::oid::integer, hashtext($1));
