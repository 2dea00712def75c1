-- Has the sink's own schema a table that not every pipeline needs? $1: the schema, $2: its name.
select to_regclass(format('%I.%I', $1::text, $2::text)) is not null;
