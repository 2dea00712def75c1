-- What ods-sink owns in a target database. Runs in psql as it is, any number of times; the daemon
-- runs the same text at its first connection when something of it is missing and its role may.
-- An administrator who does not grant CREATE on the database runs it once instead, and then:
--   grant usage on schema ods_sink to <role>;
--   grant select, insert, update, delete on all tables in schema ods_sink to <role>;

create schema if not exists ods_sink;

-- One row for each topic-partition of a consumer group: the target shows the effect of exactly the
-- records below next_offset. Written in the transaction that writes the rows.
create table if not exists ods_sink.offsets (
    consumer_group text not null,
    topic text not null,
    partition integer not null,
    next_offset bigint not null check (next_offset >= 0),
    updated_at timestamp with time zone not null default clock_timestamp(),
    primary key (consumer_group, topic, partition)
) with (fillfactor = 50);

comment on table ods_sink.offsets is
    'ods-sink: where each topic-partition stands; the rows below are in the tables';

-- Keys whose rows were given another key, or came by one that way, and the newest change of each: for
-- sources that tell of a changed key in one record (Maxwell), in a partition that is not ordered
-- against the old key's. What comes later and is older is void. Kept for a week.
create table if not exists ods_sink.moved_keys (
    consumer_group text not null,
    key bytea not null,        -- sha256 of table and key
    table_name text not null,
    topic text not null,       -- of the newest change, which those of its own partition are not
    partition integer not null, -- older than, whatever their time
    record_ms bigint not null, -- time of its record in Kafka
    sequence bigint not null,  -- its order among those of the same time, 0: unknown
    noted_at timestamp with time zone not null default clock_timestamp(),
    primary key (consumer_group, key)
);

comment on table ods_sink.moved_keys is
    'ods-sink: keys that changed, and the newest change of each; what is older and comes later is void';

-- What the sink changed in the target's tables, and the record that made it do so. Written in the
-- transaction that makes the change.
create table if not exists ods_sink.schema_history (
    id bigint generated always as identity primary key,
    changed_at timestamp with time zone not null default clock_timestamp(),
    table_schema text not null,
    table_name text not null,
    sql text not null,
    topic text not null,
    partition integer not null,
    record_offset bigint not null
);

comment on table ods_sink.schema_history is
    'ods-sink: tables made, columns added and changed, and the record that caused each';

-- Move offsets from where the writer believes them to be (compare) to where its batch ends (swap).
-- A from of -1 says that none is stored yet. Whoever believes wrongly has lost the partition to
-- another writer: the exception rolls its whole batch back.
create or replace function ods_sink.advance(
    consumer_group_ text, topics text[], partitions integer[], froms bigint[], uptos bigint[])
returns void language plpgsql as $body$
declare
    moved bigint;
    begun bigint;
begin
    update ods_sink.offsets o
       set next_offset = b.upto, updated_at = clock_timestamp()
      from unnest(topics, partitions, froms, uptos) as b (topic, partition, from_, upto)
     where o.consumer_group = consumer_group_ and o.topic = b.topic
       and o.partition = b.partition and o.next_offset = b.from_;
    get diagnostics moved = row_count;
    if moved < cardinality(topics) then
        insert into ods_sink.offsets (consumer_group, topic, partition, next_offset)
        select consumer_group_, b.topic, b.partition, b.upto
          from unnest(topics, partitions, froms, uptos) as b (topic, partition, from_, upto)
         where b.from_ = -1
            on conflict do nothing;
        get diagnostics begun = row_count;
        if moved + begun < cardinality(topics) then
            raise exception 'stored offsets of % of % partitions are not where this batch starts',
                cardinality(topics) - moved - begun, cardinality(topics)
                using errcode = 'OS001';
        end if;
    end if;
end
$body$;

comment on function ods_sink.advance(text, text[], integer[], bigint[], bigint[]) is
    'ods-sink: compare-and-swap of stored offsets; SQLSTATE OS001 when another writer moved them';
