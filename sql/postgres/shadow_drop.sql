-- Forget a table that is made anew; was there one? $1: schema, $2: table.
select ods_sink.shadow_drop($1, $2);
