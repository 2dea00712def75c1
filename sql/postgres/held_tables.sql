-- Topics of a group that orders hold, and the tables that each is known to carry ('' where none is
-- known). $1: consumer group.
select c.topic, coalesce(t.source_schema, ''), coalesce(t.source_table, ''), c.state, c.ordered_by,
       to_char(c.ordered_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')
  from ods_sink.table_control c
  left join ods_sink.topic_tables t using (consumer_group, topic)
 where c.consumer_group = $1 and c.state <> 'running';
