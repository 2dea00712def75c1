-- How many rows the old and the new table have. $1: schema, $2: table, $3: the new one.
select old, new from ods_sink.shadow_count($1, $2, $3);
