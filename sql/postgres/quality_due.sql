-- When the daemons of a group began to check last, in microseconds by this clock (NULL: never), and now.
-- $1: consumer group.
select (extract(epoch from max(began_at)) * 1000000)::bigint,
       (extract(epoch from clock_timestamp()) * 1000000)::bigint
  from ods_sink.quality where consumer_group = $1 and by_daemon and not in_flight;
