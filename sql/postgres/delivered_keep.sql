-- Keep records of a queue in the rows' transaction; OS002 where one is there.
-- $1: consumer group, $2: source, $3: the slot that was written when they were looked for, $4: how many
-- they are, $5: keys, $6: keys of chunks, $7: their bits, $8: keys by which an earlier version kept those
-- of the chunks, where it may have done so.
select ods_sink.deliver($1, $2, $3, $4, $5, $6, $7, $8);
