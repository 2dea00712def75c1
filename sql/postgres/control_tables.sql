-- Which topics carry which tables, as far as a group has moved some of them. $1: consumer group.
select topic, source_database, source_schema, source_table, table_schema, table_name
from ods_sink.topic_tables where consumer_group = $1 order by 1, 2, 3, 4, 5, 6;
