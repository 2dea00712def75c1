-- A new table, unless there is one.
insert into iceberg_tables (catalog_name, table_namespace, table_name, metadata_location)
values ($1, $2, $3, $4) on conflict do nothing
