-- Enters a history, or what has changed of it.
-- $1, $2: its schema and name; $3, $4, $5: the source's database, schema and table; $6, $7: the table
-- of the rows as they are, $8: is it kept; $9: the key's columns; $10: history.prefix; $11:
-- partition_by; $12: ahead; $13: retain; $14: is there to be a view.
select ods_sink.note_history($1, $2, $3, $4, $5, $6, $7, $8::boolean, $9::text[], $10, $11,
                             $12::integer, $13::interval, $14::boolean)
