-- Dead letters behind one of them, in order. $1: its id, $2: at most so many, $3: bytes at most, but
-- for the first one.
select l.id, l.at_ms, l.letter
  from (select d.id, (extract(epoch from d.at) * 1000)::bigint as at_ms, d.letter::text as letter,
               row_number() over (order by d.id) as n,
               sum(octet_length(d.letter::text)) over (order by d.id) as bytes
          from (select * from ods_sink.dead_letters where id > $1::bigint
                 order by id limit $2::bigint) d) l
 where l.n = 1 or l.bytes <= $3::bigint
 order by l.id;
