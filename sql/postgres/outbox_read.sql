-- Rows of an outbox that nobody has read yet, oldest first, numbered on from a place. What was numbered
-- is noted in the same statement, so a row has its place for ever, and a place its row. Rows of a
-- transaction that is still open are not seen, whatever ids they have taken, and come once it is over:
-- what is left out is what was read, by its id, and not what is below an id.
-- At least one row: the snapshot's bounds.
-- $1: the outbox's name, $2: the place, $3: rows at most, $4: bytes at most, but for the first row,
-- $5: an id below which there is nothing to read any more.
with open_ as (
    select o.id, o.op, o.key::text as key, o.before::text as before, o.after::text as after,
           o.error::text as error, (extract(epoch from o.at) * 1000)::bigint as at_ms
      from ods_sink.outbox o
     where o.name = $1 and o.id > $5::bigint
       and o.id not in (select u.id from ods_sink.outbox_reads r, unnest(r.ids) as u (id)
                         where r.name = $1)
     order by o.id limit $3::bigint),
measured as (
    select o.*, row_number() over (order by o.id) as n,
           sum(octet_length(o.key) + coalesce(octet_length(o.before), 0)
               + coalesce(octet_length(o.after), 0)) over (order by o.id) as bytes
      from open_ o),
next_ as materialized (select m.* from measured m where m.n = 1 or m.bytes <= $4::bigint),
noted as (
    insert into ods_sink.outbox_reads (name, place, ids)
    select $1, $2::bigint, array_agg(n.id order by n.id) from next_ n having count(*) > 0),
moved as (
    update ods_sink.outbox_readers set next_place = $2::bigint + (select count(*) from next_)
     where name = $1 and exists (select from next_))
select $2::bigint + n.n - 1, n.id, n.op, n.key, n.before, n.after, n.error, n.at_ms,
       txid_snapshot_xmin(s.s), txid_snapshot_xmax(s.s), (select count(*) from open_)
  from (select txid_current_snapshot()) s (s)
  left join next_ n on true
 order by n.n;
