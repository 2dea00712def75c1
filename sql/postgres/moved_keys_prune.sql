-- Forget old ones, a part at a time. $1: consumer group.
delete from ods_sink.moved_keys where ctid in
  (select ctid from ods_sink.moved_keys
   where consumer_group = $1 and noted_at < clock_timestamp() - interval '7 days' limit 20000);
