-- Does the server show the user all triggers of a table, by a right of his own? Of several databases'
-- patterns that match any may count, and where parts of a right can be revoked only the table's does.
-- {}: the database, twice; the database, the table.
select 1 from dual where /*!80016 not @@global.partial_revokes and */ (
    exists (select 1 from information_schema.user_privileges
        where privilege_type = 'TRIGGER'
            and grantee = concat(quote(substring_index(current_user(), '@', 1)), '@',
                quote(substring_index(current_user(), '@', -1))))
    or (select min(may) from (
        select max(privilege_type = 'TRIGGER') as may from information_schema.schema_privileges
        where if(@@lower_case_table_names, lower({}), {}) like binary table_schema
            and grantee = concat(quote(substring_index(current_user(), '@', 1)), '@',
                quote(substring_index(current_user(), '@', -1)))
        group by table_schema) as matching))
or exists (select 1 from information_schema.table_privileges
    where privilege_type = 'TRIGGER' and table_schema = binary {} and table_name = binary {}
        and grantee = concat(quote(substring_index(current_user(), '@', 1)), '@',
            quote(substring_index(current_user(), '@', -1))))
