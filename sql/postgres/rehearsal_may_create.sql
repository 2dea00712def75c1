-- May the user make a table in this schema (null: it is not there), or the schema itself? $1: its name.
select has_schema_privilege(to_regnamespace(quote_ident($1::text)), 'create'),
       has_database_privilege(current_database(), 'create');
