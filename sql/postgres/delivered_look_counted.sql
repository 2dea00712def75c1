-- The slot of kept records that is written now; whether an earlier version has kept records of these
-- queues; and which of these chunks are kept, each by its place in the list, with the bits that are set: at
-- least one row. $1: keys of chunks, $2: consumer group, $3: sources.
select s.slot, e.former, f.place - 1, f.bits
from ods_sink.delivered_slot s
cross join lateral (select coalesce(bool_or(coalesce(q.counted_since + 4 > s.slot, true)), false) as former
                      from ods_sink.delivered_sources q
                     where q.consumer_group = $2 and q.source = any ($3)) e
left join (select k.place, d.bits
           from (select u.key, u.place from unnest($1::bytea[]) with ordinality u (key, place)
                 order by u.key) k
           join ods_sink.delivered d on d.key = k.key) f on true;
