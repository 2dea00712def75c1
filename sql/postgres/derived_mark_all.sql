-- All rows that are derived from a table are to be computed anew. $1: its schema, $2: its name.
select ods_sink.derived_mark_all($1, $2);
