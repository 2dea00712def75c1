-- Take out the keys that changed hands of a consumer group. $1: the group.
delete from ods_sink.moved_keys where consumer_group = $1;
