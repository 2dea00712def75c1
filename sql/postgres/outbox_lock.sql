-- Be the one reader of an outbox for as long as this session lasts. $1: its name.
select pg_try_advisory_lock(hashtextextended($1, 'ods_sink.outbox'::regclass::oid::bigint));
