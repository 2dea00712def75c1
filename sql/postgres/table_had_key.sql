-- Has the sink given the table a key with this text in its statement? $1: schema, $2: table,
-- $3: text.
select exists (select from ods_sink.schema_history where table_schema = $1 and table_name = $2
               and strpos(sql, 'primary key (' || $3) > 0);
