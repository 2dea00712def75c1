-- May the user make a table in this schema (null: it is not there), or the schema itself? Which of both
-- rights lack there? $1: its name.
select has_schema_privilege(to_regnamespace(quote_ident($1::text)), 'create')
           and has_schema_privilege(to_regnamespace(quote_ident($1::text)), 'usage'),
       has_database_privilege(current_database(), 'create'),
       concat_ws(', ',
           case when has_schema_privilege(to_regnamespace(quote_ident($1::text)), 'usage') then null
                else 'usage' end,
           case when has_schema_privilege(to_regnamespace(quote_ident($1::text)), 'create') then null
                else 'create' end);
