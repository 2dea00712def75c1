-- Has the user a right on a table, which need not be there, by a grant of his own? Has he a role,
-- which may have it as well? {}: the right; the right, the database; the right, the database, the
-- table.
select exists (select 1 from information_schema.user_privileges
        where privilege_type = {}
            and grantee = concat(quote(substring_index(current_user(), '@', 1)), '@',
                quote(substring_index(current_user(), '@', -1))))
    or exists (select 1 from information_schema.schema_privileges
        where privilege_type = {} and {} like table_schema
            and grantee = concat(quote(substring_index(current_user(), '@', 1)), '@',
                quote(substring_index(current_user(), '@', -1))))
    or exists (select 1 from information_schema.table_privileges
        where privilege_type = {} and table_schema = {} and table_name = {}
            and grantee = concat(quote(substring_index(current_user(), '@', 1)), '@',
                quote(substring_index(current_user(), '@', -1)))),
    coalesce(current_role(), 'NONE') <> 'NONE'
