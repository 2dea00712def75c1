-- Forget, within a transaction that is taken back, whose a table was that is to be made anew.
-- $1: schema, $2: table.
delete from ods_sink.table_sources where table_schema = $1 and table_name = $2;
