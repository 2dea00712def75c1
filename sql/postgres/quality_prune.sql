-- Drop results that are older than they are kept. $1: consumer group, $2: milliseconds.
delete from ods_sink.quality
 where consumer_group = $1 and began_at < clock_timestamp() - $2::bigint * interval '1 ms';
