-- Tables that an order stops, for people: topic, state, reason, who ordered it and when (UTC).
-- $1: consumer group.
select topic, state, reason, ordered_by,
       to_char(ordered_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')
  from ods_sink.table_control
 where consumer_group = $1 and state <> 'running';
