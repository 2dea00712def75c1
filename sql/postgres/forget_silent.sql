-- Take out in which partitions of a consumer group nothing was yet. $1: the group.
delete from ods_sink.silent_partitions where consumer_group in ($1, $1 || '.dlq');
