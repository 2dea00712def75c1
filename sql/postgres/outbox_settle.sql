-- Delete what is settled of an outbox, in a step of a few reads. Answers up to which place it is now.
-- $1: the outbox's name, $2: the place below which all is settled, $3: reads at most.
with due as materialized (
    select r.place, r.ids, least(r.place + cardinality(r.ids), $2::bigint) as upto
      from ods_sink.outbox_reads r
     where r.name = $1 and r.place < $2::bigint
     order by r.place limit $3::bigint),
gone as (
    delete from ods_sink.outbox o
     where o.id in (select u.id from due d, unnest(d.ids[1:(d.upto - d.place)::integer]) as u (id))),
done as (
    delete from ods_sink.outbox_reads r
     using due d where r.name = $1 and r.place = d.place and d.upto = d.place + cardinality(d.ids)),
step as (
    select case when count(*) < $3::bigint then $2::bigint else max(d.upto) end as upto from due d)
update ods_sink.outbox_readers r set settled = greatest(r.settled, s.upto)
  from step s where r.name = $1
returning r.settled;
