-- Rows of an outbox that were read before and are not settled, from a place on.
-- $1: the outbox's name, $2: the place, $3: rows at most, $4: bytes at most, but for the first row.
with open_ as (
    select r.place + u.n - 1 as place, o.id, o.op, o.key::text as key, o.before::text as before,
           o.after::text as after, o.error::text as error,
           (extract(epoch from o.at) * 1000)::bigint as at_ms
      from ods_sink.outbox_reads r, unnest(r.ids) with ordinality as u (id, n), ods_sink.outbox o
     where r.name = $1 and r.place + cardinality(r.ids) > $2::bigint
       and r.place + u.n - 1 >= $2::bigint and o.id = u.id
     order by 1 limit $3::bigint),
measured as (
    select o.*, row_number() over (order by o.place) as n,
           sum(octet_length(o.key) + coalesce(octet_length(o.before), 0)
               + coalesce(octet_length(o.after), 0)) over (order by o.place) as bytes
      from open_ o)
select m.place, m.id, m.op, m.key, m.before, m.after, m.error, m.at_ms
  from measured m where m.n = 1 or m.bytes <= $4::bigint
 order by m.n;
