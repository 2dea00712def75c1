-- A process enters the group's list, from the session in which it watches; those go whose session is
-- over. $1: consumer group, $2: the process, $3: how many lanes it has.
with gone as (delete from ods_sink.control_members m
              where m.consumer_group = $1 and m.member <> $2
                and not exists (select from pg_stat_activity a where a.pid = m.backend
                                and coalesce(a.backend_start <= m.entered_at, true)))
insert into ods_sink.control_members as m (consumer_group, member, lanes, confirmed, backend)
values ($1, $2, $3::integer, -1, pg_backend_pid())
on conflict (consumer_group, member) do update
set lanes = excluded.lanes, confirmed = -1, backend = excluded.backend,
    entered_at = excluded.entered_at;
