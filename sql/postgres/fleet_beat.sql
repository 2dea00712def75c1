-- A process tells the others of its group how it is; those that have been silent for an hour go.
-- $1: consumer group, $2: the process, $3: pipeline, $4: host, $5: its number there, $6: version,
-- $7: where it answers, $8: lanes, $9: state, $10: level, $11: the state in a sentence, $12: how many
-- partitions, $13: which, $14: records that wait or null, $15: changes a second, $16: start, as seconds
-- since 1970.
with gone as (delete from ods_sink.members m where (m.consumer_group, m.member) in (
                  select o.consumer_group, o.member from ods_sink.members o
                  where o.consumer_group = $1 and o.member <> $2
                    and o.beat_at < clock_timestamp() - interval '1 hour'
                  for update skip locked))
insert into ods_sink.members as m (
    consumer_group, member, pipeline, host, process_id, version, address, lanes, state, level, says,
    partitions, assigned, lag, rate, started_at, beat_at)
values ($1, $2, $3, $4, $5::bigint, $6, $7, $8::integer, $9, $10, $11, $12::integer, $13, $14::bigint,
        $15::double precision, to_timestamp($16::double precision), clock_timestamp())
on conflict (consumer_group, member) do update
set address = excluded.address, state = excluded.state, level = excluded.level, says = excluded.says,
    partitions = excluded.partitions, assigned = excluded.assigned, lag = excluded.lag,
    rate = excluded.rate, beat_at = excluded.beat_at;
