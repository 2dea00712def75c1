-- Keep records of a queue in the rows' transaction; OS002 where one is there.
-- $1: consumer group, $2: source, $3: the slot that was written when they were looked for, $4: keys.
select ods_sink.deliver($1, $2, $3, $4);
