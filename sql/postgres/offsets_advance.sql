-- Move offsets by compare-and-swap; OS001 where one is elsewhere.
-- $1: consumer group, then lists: $2 topics, $3 partitions, $4 from, $5 to, $6 times of completeness;
-- $7: the cluster's id; '': it is not told, and stays; '-': it is not known any more.
select ods_sink.advance($1, $2, $3, $4, $5, $6, $7);
