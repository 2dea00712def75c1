-- All lanes of a process obey. $1: consumer group, $2: the process, $3: number of the last order.
update ods_sink.control_members set confirmed = $3::bigint
where consumer_group = $1 and member = $2;
