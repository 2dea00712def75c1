-- Is a table without triggers, as far as the user sees? {}: the database, the table.
select not exists (select 1 from information_schema.triggers
    where event_object_schema = {} and event_object_table = {})
