-- Take out what checks of a group found. $1: consumer group.
delete from ods_sink.quality where consumer_group = $1;
