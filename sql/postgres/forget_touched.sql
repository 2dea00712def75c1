-- Has anything come to a table, from any group? $1: schema, $2: table.
select exists (select from ods_sink.table_sources s where s.table_schema = $1 and s.table_name = $2);
