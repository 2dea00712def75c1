-- The processes of a group, and for how many seconds each has been silent. $1: consumer group.
select m.member, m.pipeline, m.host, m.process_id, m.version, m.address, m.lanes, m.state, m.level,
       m.says, m.partitions, m.assigned, coalesce(m.lag, -1), m.rate,
       (extract(epoch from m.started_at) * 1000000)::bigint,
       (extract(epoch from m.beat_at) * 1000000)::bigint,
       greatest(extract(epoch from clock_timestamp() - m.beat_at), 0)::double precision
from ods_sink.members m
where m.consumer_group = $1 and m.beat_at >= clock_timestamp() - interval '1 hour'
order by m.host collate "C", m.member collate "C" limit 1000;
