-- Which groups write a table beside one, and how many write it at all. {}: the table; the group; the
-- database and the name, both twice.
select group_concat(if(t.consumer_group in (g.name, concat(g.name, '.dlq')), null, t.consumer_group)
        order by t.consumer_group separator ', '), count(*)
from {} t, (select {} collate utf8mb4_bin as name) g
where t.table_schema = if(@@lower_case_table_names, lower({}), {})
    and t.table_name = if(@@lower_case_table_names, lower({}), {})
