-- Put a dead letter. $1: pipeline; $2: topic, $3: partition and $4: offset of the record; $5: stage, $6:
-- code, "" for none, $7: the error, $8: the letter.
insert into ods_sink.dead_letters
       (pipeline, topic, partition, record_offset, stage, code, error, letter)
values ($1, $2, $3::integer, $4::bigint, $5, nullif($6, ''), $7, $8::json);
