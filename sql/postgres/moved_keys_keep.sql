-- Keep the newest change of each of these keys, in the rows' transaction.
-- $1: consumer group, then lists: $2 keys, $3 tables, $4 topics, $5 partitions, $6 times of
-- the records,
-- $7 their order at the source.
insert into ods_sink.moved_keys
  (consumer_group, key, table_name, topic, partition, record_ms, sequence)
select $1, sha256(k.key), k.name, k.topic, k.partition, k.record_ms, k.sequence
from unnest($2::bytea[], $3::text[], $4::text[], $5::int[], $6::bigint[], $7::bigint[])
  k (key, name, topic, partition, record_ms, sequence)
on conflict (consumer_group, key) do update
set topic = excluded.topic, partition = excluded.partition, record_ms = excluded.record_ms,
    sequence = excluded.sequence, noted_at = excluded.noted_at;
