-- How many offsets a consumer group has stored. $1: the group.
select count(*) from ods_sink.offsets where consumer_group = $1;
