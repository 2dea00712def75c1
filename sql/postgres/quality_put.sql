-- Keep what a rule found. $1: consumer group, $2: the rest as JSON, its members named as the columns.
insert into ods_sink.quality
select $1, r.pipeline, r.rule, r.validator, r.source_table, r.target_table, r.began_at, r.in_flight,
       r.by_daemon, r.worker, r.state, r.measured, r.looked_at, r.expected, r.seconds, r.why, r.facts,
       r.of_hour
  from jsonb_populate_record(null::ods_sink.quality, $2::jsonb) r;
