-- Has the user a right of his own to make tables in a database? {}: its name.
select 1 from information_schema.user_privileges
where privilege_type = 'CREATE'
    and grantee = concat(quote(substring_index(current_user(), '@', 1)), '@',
        quote(substring_index(current_user(), '@', -1)))
union all
select 1 from information_schema.schema_privileges
where privilege_type = 'CREATE' and {} like table_schema
    and grantee = concat(quote(substring_index(current_user(), '@', 1)), '@',
        quote(substring_index(current_user(), '@', -1)))
