-- The last order about each topic of a group that is held; $2 alone where there is none.
-- $1: consumer group, $2: the number of the group's last order as it is known.
select c.number, o.topic, o.state, o.table_name, o.reason, o.ordered_by,
       (extract(epoch from o.ordered_at) * 1000000)::bigint
from (select coalesce(max(number), 0) as number from ods_sink.table_control
      where consumer_group = $1) c
left join ods_sink.table_control o
       on o.consumer_group = $1 and o.state <> 'running' and c.number <> $2::bigint
order by o.topic collate "C";
