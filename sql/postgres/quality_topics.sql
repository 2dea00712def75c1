-- Topics of a group that carry a table of the target. $1: consumer group, $2: schema, $3: table.
select distinct topic from ods_sink.topic_tables
 where consumer_group = $1 and table_schema = $2 and table_name = $3 order by topic;
