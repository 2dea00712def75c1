-- How many records were applied in all, as far as the stored offsets tell: it moves while changes stream.
select coalesce(sum(next_offset), 0)::bigint from ods_sink.offsets;
