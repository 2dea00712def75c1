-- End sessions of the same role that hold stored offsets or records of queues, or keep lanes with
-- changed keys from their turn, and have not gone on for this long. $1: milliseconds.
select pg_terminate_backend(a.pid) from pg_stat_activity a
where a.datname = current_database() and a.usename = current_user and a.pid <> pg_backend_pid()
  and a.wait_event = 'ClientRead'
  and a.query_start < clock_timestamp() - $1 * interval '1 ms'
  and exists (select from pg_locks l where l.pid = a.pid and l.granted
              and (l.mode = 'RowExclusiveLock' and l.relation = 'ods_sink.offsets'::regclass
                   or l.locktype = 'advisory' and l.classid = 723549820));
