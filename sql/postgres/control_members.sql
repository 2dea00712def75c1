-- The processes of a group whose sessions last, and what each of them obeys. $1: consumer group.
select m.member, m.lanes, m.confirmed from ods_sink.control_members m
join pg_stat_activity a on a.pid = m.backend and coalesce(a.backend_start <= m.entered_at, true)
where m.consumer_group = $1 order by m.member;
