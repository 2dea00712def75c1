-- Take out what a consumer group has stored, and which of its dead letters were handled. $1: the group.
delete from ods_sink.offsets where consumer_group in ($1, $1 || '.dlq');
