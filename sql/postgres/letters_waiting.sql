-- How many dead letters wait, of each pipeline, and when the oldest of them came: of each record the last
-- letter counts, unless it was replayed or skipped. A record of a queue is known by its identity, if it
-- has one. It stands behind the offset in the letter's text (pipeline/deadletter_headers.c): JSON with a
-- NUL in it can't be taken apart here.
-- Rows: the pipeline's place in $1 (from 1 on).
-- $1: pipelines; $2: the groups of their replays; $3: do they read queues? Three arrays, as texts. $4: what
-- the marks of replays call the place of letters.
with letters as (
    select a.number, a.replays, d.id, d.at, d.topic, d.partition, d.record_offset,
           case when a.queue
                then substring(substr(d.letter::text, strpos(d.letter::text,
                                      '"ods.offset","' || d.record_offset || '","ods.identity","'))
                               from '^"ods\.offset","\d+","ods\.identity","((?:[^"\\]|\\.)*)"')
           end as identity
      from unnest($1::text[], $2::text[], $3::boolean[])
           with ordinality as a (pipeline, replays, queue, number)
      join ods_sink.dead_letters d on d.pipeline = a.pipeline
), last_ones as (
    select distinct on (l.number, l.topic, l.identity, r.partition, r.record_offset)
           l.number, l.replays, l.id, l.at
      from letters l,
           lateral (select case when l.identity is null then l.partition end as partition,
                           case when l.identity is null then l.record_offset end as record_offset) r
     order by l.number, l.topic, l.identity, r.partition, r.record_offset, l.at desc, l.id desc
)
select l.number, count(*), (extract(epoch from min(l.at)) * 1000000)::bigint
  from last_ones l
 where not exists (select from ods_sink.offsets o
                    where o.consumer_group = l.replays and o.partition = 0
                      and o.topic = $4 || '@' || l.id || '@' || (extract(epoch from l.at) * 1000)::bigint)
 group by l.number;
