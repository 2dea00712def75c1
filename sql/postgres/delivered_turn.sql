-- Begin the next slot when it is time. $1: how long to keep a record, in milliseconds, $2: how many.
select ods_sink.turn_delivered($1, $2);
