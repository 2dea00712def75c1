-- How a temporary table of this session is stored, the strongest lock that the session has on it, which
-- of its indexes are not among $2 (as JSON), and all of them as a list for $2. $1: its name.
select coalesce(pg_catalog.pg_relation_filenode(c.oid), 0),
       coalesce((select l.mode from pg_catalog.pg_locks l
         where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation'
           and l.relation = c.oid and l.granted
         order by array_position(array['AccessShareLock', 'RowShareLock', 'RowExclusiveLock',
           'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
           'AccessExclusiveLock'], l.mode) desc limit 1), ''),
       coalesce(json_agg(x.relname order by x.relname)
         filter (where not pg_catalog.pg_relation_filenode(x.oid)::text = any($2::text[])), '[]'),
       coalesce(array_agg(pg_catalog.pg_relation_filenode(x.oid)::text)
         filter (where x.oid is not null), '{}')
from pg_catalog.pg_class c
left join pg_catalog.pg_index i on i.indrelid = c.oid
left join pg_catalog.pg_class x on x.oid = i.indexrelid
where c.relname = $1 and c.relnamespace = pg_catalog.pg_my_temp_schema()
group by c.oid;
