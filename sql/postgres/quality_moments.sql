-- When the daemons of a group began to check last, and when anybody did or kept counts, in microseconds
-- (NULL: never); now; and how many results there are of that last moment. $1: consumer group.
select (extract(epoch from (select max(began_at) from ods_sink.quality
                             where consumer_group = $1 and by_daemon and not in_flight)) * 1000000)::bigint,
       (extract(epoch from (select max(began_at) from ods_sink.quality
                             where consumer_group = $1)) * 1000000)::bigint,
       (extract(epoch from clock_timestamp()) * 1000000)::bigint,
       (select count(*) from ods_sink.quality
         where consumer_group = $1
           and began_at = (select max(began_at) from ods_sink.quality where consumer_group = $1));
