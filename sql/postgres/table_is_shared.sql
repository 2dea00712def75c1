-- Are rows of several sources in the table? $1: schema, $2: table.
select count(*) > 1 from ods_sink.table_sources where table_schema = $1 and table_name = $2;
