-- The columns of a table, in their order. {}: the database, the table.
select column_name, data_type, column_type, is_nullable, extra, column_default,
    coalesce(generation_expression, ''), coalesce(character_set_name, ''),
    coalesce(collation_name, ''), character_maximum_length, numeric_precision, numeric_scale,
    datetime_precision, column_comment
from information_schema.columns where table_schema = {} and table_name = {}
order by ordinal_position
