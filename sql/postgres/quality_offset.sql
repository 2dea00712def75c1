-- The stored offset of a partition; no row: there is none. $1: consumer group, $2: topic, $3: partition.
select next_offset from ods_sink.offsets
 where consumer_group = $1 and topic = $2 and partition = $3::integer;
