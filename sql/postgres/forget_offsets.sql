-- Take out what a consumer group has stored, which of its dead letters were handled, and how far tables
-- that are made anew (resync) are. $1: the group.
delete from ods_sink.offsets
where consumer_group in ($1, $1 || '.dlq') or starts_with(consumer_group, $1 || '.resync.');
