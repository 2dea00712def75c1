-- What came of it. $1: the row's number, $2: the answer.
update ods_sink.audit set answer = $2, answered_at = clock_timestamp() where id = $1::bigint;
