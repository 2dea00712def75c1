-- A row where anything is kept. $1: consumer group.
select 1 from ods_sink.moved_keys where consumer_group = $1 limit 1;
