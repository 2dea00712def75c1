-- Take out the orders about single tables of a consumer group: what begins anew is not paused. $1: the
-- group.
delete from ods_sink.table_control where consumer_group = $1;
