-- How many rows of an outbox wait, counted up to a number. $1: its name, $2: the number.
select count(*) from (select from ods_sink.outbox o where o.name = $1 limit $2::bigint) as o;
