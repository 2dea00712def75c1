-- Take out the tables of a consumer group that are made anew (resync), with their rows. $1: the group.
select count(ods_sink.shadow_drop(s.table_schema, s.table_name))
from (select table_schema, table_name from ods_sink.shadows
      where consumer_group = $1 order by table_schema, table_name) s;
