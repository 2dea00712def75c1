-- The stored offsets of a group, and when each was stored, in microseconds. $1: consumer group.
select topic, partition, next_offset, (extract(epoch from updated_at) * 1000000)::bigint
from ods_sink.offsets where consumer_group = $1;
