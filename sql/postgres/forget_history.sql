-- Take out what is known of a history, and its view. $1: schema, $2: table.
select ods_sink.forget_history($1, $2)
