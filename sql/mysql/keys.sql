-- The unique keys of a table, column by column; the column of an expression is null. {}: the
-- database, the table.
select index_name, column_name from information_schema.statistics
where table_schema = {} and table_name = {} and non_unique = 0
order by index_name, seq_in_index
