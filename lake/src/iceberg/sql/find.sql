-- Where a table's metadata are.
select metadata_location from iceberg_tables
where catalog_name = $1 and table_namespace = $2 and table_name = $3
