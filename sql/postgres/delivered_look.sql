-- Which of these records of queues are kept, each by its place in the list, and the slot that is
-- written now: at least one row. Keys in their order: neighbours are on one page of the index. $1: keys.
select s.slot, f.place - 1
from ods_sink.delivered_slot s
left join (select k.place
           from (select u.key, u.place from unnest($1::bytea[]) with ordinality u (key, place)
                 order by u.key) k
           join ods_sink.delivered d on d.key = k.key) f on true;
