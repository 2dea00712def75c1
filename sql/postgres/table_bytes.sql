-- How large a table is, with its indexes. $1: schema, $2: table. Null: there is none.
select pg_total_relation_size(to_regclass(format('%I.%I', $1::text, $2::text)));
