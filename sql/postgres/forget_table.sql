-- Take out what is known of a table. $1: schema, $2: table.
with history as (
    delete from ods_sink.schema_history where table_schema = $1 and table_name = $2)
delete from ods_sink.table_sources where table_schema = $1 and table_name = $2;
