-- Which other groups write a table; NULL: none. $1: schema, $2: table, $3: consumer group.
select string_agg(distinct t.consumer_group, ', ') from ods_sink.topic_tables t
where t.table_schema = $1 and t.table_name = $2 and t.consumer_group not in ($3, $3 || '.dlq');
