-- Which of these records of queues are kept, each by its place in the list, and the slot that is
-- written now: at least one row. $1: keys.
select s.slot, f.place - 1
from ods_sink.delivered_slot s
left join (select k.place from unnest($1::bytea[]) with ordinality k (key, place)
           join ods_sink.delivered d on d.key = k.key) f on true;
