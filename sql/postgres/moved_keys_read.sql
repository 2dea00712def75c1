-- What is kept of these keys, each by its place in the list. $1: consumer group, $2: keys.
select k.place - 1, m.record_ms, m.sequence, m.partition, m.topic
from unnest($2::bytea[]) with ordinality k (key, place)
join ods_sink.moved_keys m on m.consumer_group = $1 and m.key = sha256(k.key);
