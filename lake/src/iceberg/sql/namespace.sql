-- A namespace exists when it has a property.
insert into iceberg_namespace_properties (catalog_name, namespace, property_key, property_value)
values ($1, $2, 'exists', 'true') on conflict do nothing
