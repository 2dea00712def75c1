-- Does the target have this schema? $1: its name.
select to_regnamespace(quote_ident($1::text)) is not null;
