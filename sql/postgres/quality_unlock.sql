-- Let another process check. $1: consumer group.
select pg_advisory_unlock('ods_sink.quality'::regclass::oid::integer, hashtext($1));
