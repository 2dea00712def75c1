-- A dead letter.
insert into ods_sink.dead_letters
       (pipeline, topic, partition, record_offset, stage, code, error, letter)
values ($1, $2, $3::integer, $4::bigint, $5, nullif($6, ''), $7, $8::json);
