-- Tables of the target into which a group's topics go, and of which source; histories are not among
-- them. $1: consumer group. By place: source's schema or database, table; target's schema, table.
select distinct t.source_schema, t.source_table, t.table_schema, t.table_name
  from ods_sink.topic_tables t
 where t.consumer_group = $1
   and not exists (select from ods_sink.history_tables h
                    where (h.table_schema, h.table_name) = (t.table_schema, t.table_name))
 order by 1, 2, 3, 4;
