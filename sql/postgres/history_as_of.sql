-- The query for a history's rows as they were. $1, $2: its schema and name; $3: the moment.
select ods_sink.as_of_query(h, format('%L::timestamptz', $3::text), ods_sink.history_columns(
           format('%I.%I', h.table_schema, h.table_name)::regclass, h.prefix), null)
  from ods_sink.history_tables h where (h.table_schema, h.table_name) = ($1, $2)
