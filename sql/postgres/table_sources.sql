-- Which tables of sources go into which of the target, and how many share each; histories are not
-- among them. By place:
-- source's database or "", schema or database, table; target's schema, table; sources of that one.
select s.source_database, s.source_schema, s.source_table, s.table_schema, s.table_name,
       count(*) over (partition by s.table_schema, s.table_name)
from ods_sink.table_sources s
where not exists (select from ods_sink.history_tables h
                  where (h.table_schema, h.table_name) = (s.table_schema, s.table_name))
order by s.source_database, s.source_schema, s.source_table;
