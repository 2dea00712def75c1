-- Up to when what each topic of a group carries is complete, in microseconds; NULL: it is not known. As in
-- ods_sink.freshness a table is as complete as the least of the partitions of all its topics; a topic is
-- as its tables. $1: consumer group.
with partitions_ as (
    select o.topic, o.complete_to from ods_sink.offsets o where o.consumer_group = $1
    union all
    select s.topic, s.complete_to
      from ods_sink.silent_partitions s
     where s.consumer_group = $1
       and not exists (select from ods_sink.offsets o where (o.consumer_group, o.topic, o.partition) =
                                                            (s.consumer_group, s.topic, s.partition))),
topics_ as (
    select p.topic, min(p.complete_to) as time_, bool_and(p.complete_to is not null) as known
      from partitions_ p group by p.topic),
carried as (
    select distinct t.topic, t.table_schema, t.table_name
      from ods_sink.topic_tables t where t.consumer_group = $1),
tables_ as (
    select c.table_schema, c.table_name, min(t.time_) as time_, bool_and(t.known) as known
      from carried c join topics_ t using (topic) group by c.table_schema, c.table_name)
select c.topic,
       case when bool_and(t.known) then (extract(epoch from min(t.time_)) * 1000000)::bigint end
  from carried c join tables_ t using (table_schema, table_name)
 group by c.topic order by c.topic collate "C";
