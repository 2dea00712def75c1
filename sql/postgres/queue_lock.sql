-- Be the one reader of a queue for as long as this session lasts. $1: consumer group, $2: the queue.
select pg_try_advisory_lock(hashtextextended($1 || ' ' || $2,
                                             'ods_sink.offsets'::regclass::oid::bigint));
