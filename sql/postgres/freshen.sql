-- Idle partitions are complete up to their connectors' heartbeats; answers what these are now.
-- $1: consumer group, then lists: $2 topics, $3 partitions, $4 offsets, $5 connectors, $6 their times.
select connector, beat_at::text from ods_sink.freshen($1, $2, $3::integer[], $4::bigint[], $5,
                                                      $6::timestamp with time zone[]);
