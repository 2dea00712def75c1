-- A process of a group ends. $1: consumer group, $2: the process.
delete from ods_sink.members where consumer_group = $1 and member = $2;
