-- Take dead letters out. $1: their ids.
delete from ods_sink.dead_letters where id = any ($1::bigint[]);
