-- Has the sink's own schema the table that only scattered shapes need? $1: its name.
select to_regclass(format('%I.moved_keys', $1::text)) is not null;
