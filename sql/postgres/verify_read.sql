-- When a group's target was compared, in microseconds, and what came of it; no row: never.
-- $1: consumer group.
select (extract(epoch from began_at) * 1000000)::bigint,
       (extract(epoch from failed_at) * 1000000)::bigint,
       (extract(epoch from last_began_at) * 1000000)::bigint,
       (extract(epoch from last_ended_at) * 1000000)::bigint,
       worker, failure, report
  from ods_sink.verify_runs where consumer_group = $1;
