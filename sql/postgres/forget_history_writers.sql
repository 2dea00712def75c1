-- Which other groups write a history; NULL: none. $1: schema, $2: table, $3: consumer group.
select string_agg(distinct t.consumer_group, ', ')
  from ods_sink.history_tables h
  join ods_sink.topic_tables t on (t.table_schema, t.table_name) = (h.row_schema, h.row_table)
 where (h.table_schema, h.table_name) = ($1, $2) and t.consumer_group not in ($3, $3 || '.dlq')
