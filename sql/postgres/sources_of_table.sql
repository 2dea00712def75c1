-- Which tables of the sources go into a table. $1: schema, $2: table.
select source_database, source_schema, source_table
from ods_sink.table_sources where table_schema = $1 and table_name = $2
order by first_seen_at, source_database, source_schema, source_table;
