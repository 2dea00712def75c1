-- The history of a table: its schema and name, the source's columns in it, and which are the key.
-- $1, $2: schema and name of the rows' table, or of the history itself.
select h.table_schema, h.table_name, c.name, c.name = any(h.key)
  from ods_sink.history_tables h,
       unnest(ods_sink.history_columns(
           to_regclass(format('%I.%I', h.table_schema, h.table_name)), h.prefix)) with ordinality as c (name, n)
 where $1 in (h.row_schema, h.table_schema) and $2 in (h.row_table, h.table_name)
   and to_regclass(format('%I.%I', h.table_schema, h.table_name)) is not null
 order by $2 = h.table_name desc, h.table_schema, h.table_name, c.n
