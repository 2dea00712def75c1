-- The statement by which a table that is made anew takes over the rows of the old one that are marked
-- deleted; no row if the old one has no such column.
-- $1: schema, $2: table, $3: the new one, in the same schema, $4: the column that says 'd'.
select format('insert into %1$I.%2$I (%3$s) overriding system value '
              'select %3$s from %1$I.%4$I where %5$I = ''d'' on conflict do nothing',
              $1::text, $3::text, string_agg(quote_ident(attname), ', ' order by attnum),
              $2::text, $4::text)
  from pg_attribute
 where attrelid = to_regclass(format('%I.%I', $1::text, $2::text))
   and attnum > 0 and not attisdropped and attgenerated = ''
having bool_or(attname = $4::text);
