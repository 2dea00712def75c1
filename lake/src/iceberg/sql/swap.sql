-- A commit: the new metadata, if the table has those still from which they were made.
update iceberg_tables set metadata_location = $1, previous_metadata_location = $2
where metadata_location = $2 and catalog_name = $3 and table_namespace = $4 and table_name = $5
