-- Enter a source for a table of the target; NULL, or whose the table is already.
-- $1: schema, $2: table, of the target; $3: database, $4: schema, $5: table, of the source;
-- $6: may the table be shared?
select ods_sink.claim_table($1, $2, $3, $4, $5, $6);
