-- Would a delete from the table reach further than its row? $1: the table.
select exists (select from pg_catalog.pg_constraint where contype = 'f'
               and confrelid = $1::pg_catalog.regclass and confdeltype in ('c', 'n', 'd')) or
       exists (select from pg_catalog.pg_trigger where tgrelid = $1::pg_catalog.regclass
               and not tgisinternal and tgtype & 8 <> 0 and tgname <> 'ods_outbox');
