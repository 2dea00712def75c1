-- The stored offsets of a group, when each was stored, in microseconds, and of which Kafka cluster they
-- are, '': it is not known. (A schema of an earlier version has no column for that.)
-- $1: consumer group.
select o.topic, o.partition, o.next_offset, (extract(epoch from o.updated_at) * 1000000)::bigint,
       coalesce(to_jsonb(o) ->> 'cluster_id', '')
from ods_sink.offsets o where o.consumer_group = $1;
