-- Take out which topics of a consumer group carry which tables. $1: the group.
delete from ods_sink.topic_tables where consumer_group in ($1, $1 || '.dlq');
