-- What ods-sink owns in a target database. Runs in psql as it is, any number of times; the daemon
-- runs the same text at its first connection when something of it is missing and its role may.
-- An administrator who does not grant CREATE on the database runs it once instead, and then:
--   grant usage on schema ods_sink to <role>;
--   grant select, insert, update, delete, truncate on all tables in schema ods_sink to <role>;
-- and, after each run, as they run as their owner, and with them what the tables' types bring along:
--   alter function ods_sink.outbox_append() owner to <role>;
--   alter function ods_sink.derived_mark() owner to <role>;

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

-- The source's time up to which the target has what the partition carries, as far as its records tell;
-- null: they have not told yet.
alter table ods_sink.offsets add column if not exists complete_to timestamp with time zone;

-- The Kafka cluster whose offsets these are, by its id; null: it is not known. Another cluster's mean
-- nothing here, whatever its topics are called.
alter table ods_sink.offsets add column if not exists cluster_id text;

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

create index if not exists moved_keys_noted on ods_sink.moved_keys (consumer_group, noted_at);

-- Records of queues that the target has: what is delivered again is known by it. For each the first 16
-- bytes of the sha256 of consumer group, source and identity, written in the transaction that writes
-- its rows. Where an identity ends in a number ("ID:1f0c:1:1:1-4711"), 512 numbers have a row: the same of
-- what stands before the number, the number divided by 512 (8 bytes), and a bit for each remainder. Four
-- slots take turns, and the oldest is truncated for the next: nothing is deleted row by row, and what is to
-- be kept is never moved.
create table if not exists ods_sink.delivered (
    key bytea not null,
    slot smallint not null,
    consumer_group text not null,
    source text not null,
    bits bit(512), -- NULL: the row is of one record
    primary key (key, slot)
) partition by list (slot);

alter table ods_sink.delivered add column if not exists bits bit(512);

create table if not exists ods_sink.delivered_0 partition of ods_sink.delivered for values in (0);
create table if not exists ods_sink.delivered_1 partition of ods_sink.delivered for values in (1);
create table if not exists ods_sink.delivered_2 partition of ods_sink.delivered for values in (2);
create table if not exists ods_sink.delivered_3 partition of ods_sink.delivered for values in (3);

comment on table ods_sink.delivered is
    'ods-sink: records of queues that are in the tables; when they are delivered again they are dropped';

-- The slot that is written now, counted on for ever: it is partition slot % 4.
create table if not exists ods_sink.delivered_slot (
    slot bigint not null,
    since timestamp with time zone not null default clock_timestamp(),
    single boolean primary key default true check (single)
);

insert into ods_sink.delivered_slot (slot) values (0) on conflict do nothing;

comment on table ods_sink.delivered_slot is 'ods-sink: which part of "delivered" is written, since when';

-- How many records of each queue the slot has that it last wrote to.
create table if not exists ods_sink.delivered_sources (
    consumer_group text not null,
    source text not null,
    slot bigint not null,
    kept bigint not null,
    updated_at timestamp with time zone not null default clock_timestamp(),
    counted_since bigint, -- the slot in which numbers of it were first kept as bits; NULL: an earlier
                          -- version has kept records of it since
    primary key (consumer_group, source)
) with (fillfactor = 50);

alter table ods_sink.delivered_sources add column if not exists counted_since bigint;

comment on table ods_sink.delivered_sources is
    'ods-sink: how many records each queue has in the newest part of "delivered" that it wrote to';

-- Keep these records, which the writer has not found in any slot while slot_ was written: those that have a
-- key, and bits of chunks. Whoever looked too early (another writer has committed one of them since, or the
-- slots have turned) gets SQLSTATE OS002, and looks again. Of two writers of one record at once the second
-- waits for the first at its queue's row; all that are on their way write to one slot, since a turn waits
-- for them. former: the chunks' records as an earlier version kept them, where the writer has seen that
-- one did: such records are in the last four slots only.
create or replace function ods_sink.deliver(
    consumer_group_ text, source_ text, slot_ bigint, count_ bigint, keys bytea[], chunks bytea[],
    bits_ bit[], former bytea[])
returns void language plpgsql as $body$
declare
    early boolean := true;
    since bigint;
    written bigint;
begin
    perform pg_advisory_xact_lock_shared(723549820, s.tableoid::integer)
       from ods_sink.delivered_slot s;
    if exists (select from ods_sink.delivered_slot s where s.slot = slot_) then
        insert into ods_sink.delivered_sources as s (consumer_group, source, slot, kept, counted_since)
        values (consumer_group_, source_, slot_, count_, slot_ - 4)
            on conflict (consumer_group, source) do update
           set kept = excluded.kept + case when s.slot = excluded.slot then s.kept else 0 end,
               slot = excluded.slot, updated_at = clock_timestamp()
        returning s.counted_since into since;
        early := cardinality(chunks) > 0 and coalesce(since + 4 > slot_, true) and
                 (cardinality(former) = 0 or
                  exists (select from unnest(former) as k (key)
                            join ods_sink.delivered d on d.key = k.key));
        if since is null then
            update ods_sink.delivered_sources s set counted_since = slot_
             where s.consumer_group = consumer_group_ and s.source = source_;
        end if;
        -- former too: daemons of an earlier version may run still, which know these records by nothing else
        if cardinality(keys) + cardinality(former) > 0 then
            begin -- not "on conflict", which costs a third more
                insert into ods_sink.delivered (key, slot, consumer_group, source)
                select k.key, slot_ % 4, consumer_group_, source_
                  from unnest(keys || former) as k (key) order by k.key;
            exception when unique_violation then
                early := true;
            end;
        end if;
        if cardinality(chunks) > 0 then
            insert into ods_sink.delivered as d (key, slot, consumer_group, source, bits)
            select c.key, slot_ % 4, consumer_group_, source_, c.bits
              from unnest(chunks, bits_) as c (key, bits) order by c.key
                on conflict (key, slot) do update set bits = d.bits | excluded.bits
             where (d.bits & excluded.bits) = 0::bit(512);
            get diagnostics written = row_count;
            early := early or written < cardinality(chunks);
        end if;
    end if;
    if early then
        raise exception 'records of % were applied by another writer meanwhile', source_
            using errcode = 'OS002';
    end if;
end
$body$;

comment on function
    ods_sink.deliver(text, text, bigint, bigint, bytea[], bytea[], bit[], bytea[]) is
    'ods-sink: keep records as delivered; SQLSTATE OS002 when one of them is there already';

-- As earlier versions call it, which know all records by their keys.
create or replace function ods_sink.deliver(
    consumer_group_ text, source_ text, slot_ bigint, keys bytea[])
returns void language plpgsql as $body$
begin
    perform ods_sink.deliver(consumer_group_, source_, slot_, cardinality(keys), keys, '{}', '{}', '{}');
    update ods_sink.delivered_sources s set counted_since = null
     where s.consumer_group = consumer_group_ and s.source = source_;
end
$body$;

comment on function ods_sink.deliver(text, text, bigint, bytea[]) is
    'ods-sink: the call of earlier versions';

-- Let the oldest slot go when the one that is written has taken a third of the time or a quarter of
-- the number that are to be kept. Waits for no more than a moment: there is a next time. Answers the
-- age in milliseconds of the slot that was written where its number came before its time.
create or replace function ods_sink.turn_delivered(keep_ms bigint, most bigint)
returns bigint language plpgsql set lock_timeout = '200ms' as $body$
declare
    old ods_sink.delivered_slot;
    age_ms bigint;
    full_ boolean;
begin
    select * into old from ods_sink.delivered_slot;
    age_ms := extract(epoch from clock_timestamp() - old.since) * 1000;
    select coalesce(sum(s.kept), 0) * 4 >= most into full_
      from ods_sink.delivered_sources s where s.slot = old.slot;
    if not full_ and age_ms * 3 < keep_ms then
        return null;
    end if;
    perform pg_advisory_xact_lock(723549820, s.tableoid::integer) from ods_sink.delivered_slot s;
    update ods_sink.delivered_slot s set slot = old.slot + 1, since = clock_timestamp()
     where s.slot = old.slot;
    if not found then -- by another lane, a moment ago
        return null;
    end if;
    case (old.slot + 1) % 4
        when 0 then truncate ods_sink.delivered_0;
        when 1 then truncate ods_sink.delivered_1;
        when 2 then truncate ods_sink.delivered_2;
        else truncate ods_sink.delivered_3;
    end case;
    return case when age_ms * 3 < keep_ms then age_ms end;
end
$body$;

comment on function ods_sink.turn_delivered(bigint, bigint) is
    'ods-sink: begin the next part of "delivered", and empty the oldest for it, when it is time';

-- What goes on from here: changes of derived tables with "outbox: true", of tables with "outbox: true",
-- and whatever a transaction appends by itself. A row is in it if its transaction has committed, and
-- until what it was sent to has it. Pipelines whose input is of type "outbox" read and delete rows by
-- their name.
-- op: c, u, d as in Debezium; e: the row could not be computed, and "error" says why:
--   {"code": SQLSTATE, "message": text}. A reader makes it a dead letter.
-- key: of the row, as an object {"order_id": 1}. before, after: the whole row, null where there is none.
create table if not exists ods_sink.outbox (
    id bigint generated always as identity primary key,
    name text not null,
    op text not null check (op in ('c', 'u', 'd', 'e')),
    key jsonb not null,
    before json,
    after json,
    error json,
    at timestamptz not null default clock_timestamp()
);

create index if not exists outbox_name on ods_sink.outbox (name, id);

comment on table ods_sink.outbox is
    'ods-sink: what pipelines with an input of type outbox send on, and then delete';

-- Of each table with "outbox: true": what happens to a row becomes one of the outbox, in the same
-- transaction. An update under another key is the old row's delete and the new one's create, as in
-- Debezium. Arguments: the name, then the columns of the key; none: the whole row is the key.
create or replace function ods_sink.outbox_append() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $body$
declare
    old_key jsonb; new_key jsonb;
begin
    if tg_op = 'UPDATE' and old *= new then
        return null;
    end if;
    if tg_op <> 'INSERT' then
        old_key := to_jsonb(old);
        if tg_nargs > 1 then
            select jsonb_object_agg(k, old_key -> k) into old_key from unnest(tg_argv[1:]) as a (k);
        end if;
    end if;
    if tg_op <> 'DELETE' then
        new_key := to_jsonb(new);
        if tg_nargs > 1 then
            select jsonb_object_agg(k, new_key -> k) into new_key from unnest(tg_argv[1:]) as a (k);
        end if;
    end if;
    if tg_op = 'UPDATE' and old_key = new_key then
        insert into ods_sink.outbox (name, op, key, before, after)
        values (tg_argv[0], 'u', new_key, to_json(old), to_json(new));
        return null;
    end if;
    if tg_op <> 'INSERT' then
        insert into ods_sink.outbox (name, op, key, before)
        values (tg_argv[0], 'd', old_key, to_json(old));
    end if;
    if tg_op <> 'DELETE' then
        insert into ods_sink.outbox (name, op, key, after)
        values (tg_argv[0], 'c', new_key, to_json(new));
    end if;
    return null;
end
$body$;

comment on function ods_sink.outbox_append() is
    'ods-sink: what happens to a row goes into the outbox as well';

-- Put that trigger on a table, or take it off. It stays as it is where its arguments are the same.
create or replace function ods_sink.outbox_follow(relation regclass, arguments text[], follows boolean)
returns void language plpgsql as $body$
declare
    there bytea; wanted bytea;
begin
    perform pg_advisory_xact_lock(723549821, relation::oid::integer);
    select t.tgargs into there from pg_catalog.pg_trigger t
     where t.tgrelid = relation and t.tgname = 'ods_outbox' and not t.tgisinternal;
    select string_agg(convert_to(a, getdatabaseencoding()) || '\x00'::bytea, ''::bytea order by n)
      into wanted from unnest(arguments) with ordinality as u (a, n) where follows;
    if there is not distinct from wanted then
        return;
    end if;
    if there is not null then
        execute format('drop trigger ods_outbox on %s', relation);
    end if;
    if follows then
        execute format('create trigger ods_outbox after insert or update or delete on %s '
                       'for each row execute function ods_sink.outbox_append(%s)', relation,
                       (select string_agg(quote_literal(a), ', ' order by n)
                          from unnest(arguments) with ordinality as u (a, n)));
    end if;
exception when insufficient_privilege then
    raise exception '%: grant TRIGGER on % to %, and to take it off ownership is needed', sqlerrm,
        relation, current_user using errcode = 'invalid_object_definition';
end
$body$;

comment on function ods_sink.outbox_follow(regclass, text[], boolean) is
    'ods-sink: have the changes of a table go into the outbox, or no longer';

-- Readers number the rows of a name as they see them, so that a place is one row's for ever. Below
-- "settled" all is done with.
create table if not exists ods_sink.outbox_readers (
    name text primary key,
    next_place bigint not null default 0,
    settled bigint not null default 0
) with (fillfactor = 50);

comment on table ods_sink.outbox_readers is
    'ods-sink: how far each name of the outbox is read, and how far what was read is settled';

-- What was read and is not settled: the rows with these ids have the places from "place" on.
create table if not exists ods_sink.outbox_reads (
    name text not null,
    place bigint not null,
    ids bigint[] not null,
    primary key (name, place)
);

comment on table ods_sink.outbox_reads is
    'ods-sink: rows of the outbox that are on their way, and the places that they have';

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

-- The tables that have a row for each change, one row here for each of them. Which of their columns are
-- the source's is told by history_columns().
create table if not exists ods_sink.history_tables (
    table_schema text not null,
    table_name text not null,
    source_database text not null, -- as in table_sources
    source_schema text not null,
    source_table text not null,
    row_schema text not null,      -- the table of the rows as they are now, if it is kept
    row_table text not null,
    keeps_rows boolean not null,
    key text[] not null,           -- the columns of the source's key
    prefix text not null,          -- of the columns that are not the source's
    partition_by text not null check (partition_by in ('none', 'day', 'month')),
    ahead integer not null,
    retain interval,
    made_at timestamp with time zone not null default clock_timestamp(),
    primary key (table_schema, table_name)
);

comment on table ods_sink.history_tables is
    'ods-sink: the tables that have a row for each change of a source''s table';

-- The columns of a history that are the source's, in order; of the others the names without prefix are
-- those of include/ods/history.h.
create or replace function ods_sink.history_columns(relation regclass, prefix text)
returns text[] language sql stable as $body$
    select coalesce(array_agg(a.attname::text order by a.attnum), '{}') from pg_catalog.pg_attribute a
     where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
       and a.attname <> 'cdc_timestamp'
       and a.attname not in (select prefix || m.name from unnest(array[
           'op', 'topic', 'partition', 'offset', 'part', 'lsn', 'binlog_file', 'binlog_pos',
           'binlog_row', 'gtid', 'tx_id', 'tx_order', 'unchanged', 'before', 'ingested_at']) as m (name))
$body$;

comment on function ods_sink.history_columns(regclass, text) is
    'ods-sink: the columns of a history that are the source''s';

-- The history of a table: of one by its own name, by that of the rows as they are, or by its view.
create or replace function ods_sink.history_of(relation text)
returns ods_sink.history_tables language plpgsql stable as $body$
declare
    names text[] := parse_ident(relation);
    found ods_sink.history_tables;
    schema_ text := case when cardinality(names) > 1 then names[1] end;
    name_ text := names[cardinality(names)];
begin
    select h.* into found from ods_sink.history_tables h
     where (schema_ is null or schema_ in (h.table_schema, h.row_schema))
       and name_ in (h.table_name, h.row_table, h.row_table || '_asof')
       and to_regclass(format('%I.%I', h.table_schema, h.table_name)) is not null
     order by name_ = h.table_name desc, h.table_schema = any(current_schemas(false)) desc
     limit 1;
    if found.table_name is null then
        raise exception 'no history of % is known: its table needs history: true', relation
            using errcode = 'undefined_table';
    end if;
    return found;
end
$body$;

comment on function ods_sink.history_of(text) is 'ods-sink: what is known of a table''s history';

-- A query for the rows as they were at moment_, an SQL expression: of each key the last change until
-- then, unless it is a delete. Within a partition the offsets tell which one is last, whatever the
-- source's clock says; of several partitions the time does. A value that a change did not carry is that
-- of the change before.
create or replace function ods_sink.as_of_query(
    history ods_sink.history_tables, moment_ text, columns_ text[], only_ text)
returns text language plpgsql stable as $body$
declare
    relation regclass := format('%I.%I', history.table_schema, history.table_name)::regclass;
    sources text[] := ods_sink.history_columns(relation, history.prefix);
    keys text; same_key text; list text;
    op text := quote_ident(history.prefix || 'op');
    topic text := quote_ident(history.prefix || 'topic');
    partition_ text := quote_ident(history.prefix || 'partition');
    offset_ text := quote_ident(history.prefix || 'offset');
    part text := quote_ident(history.prefix || 'part');
    unchanged text := quote_ident(history.prefix || 'unchanged');
    ingested text := quote_ident(history.prefix || 'ingested_at');
begin
    if cardinality(history.key) = 0 then
        raise exception 'table %.% has no key, so its changes can''t be told apart by row',
            history.source_schema, history.source_table using errcode = 'undefined_object';
    end if;
    select string_agg(quote_ident(k), ', ' order by n),
           string_agg(format('p.%I = h.%I', k, k), ' and ' order by n)
      into keys, same_key from unnest(history.key) with ordinality as u (k, n);
    select string_agg(case
        when c.name <> all(sources) and c.name = any(columns_) and not exists (
                select from pg_catalog.pg_attribute a where a.attrelid = relation
                   and a.attname = c.name and a.attnum > 0) then
            case c.name when 'cdc_operation' then format('h.%s as cdc_operation', op)
                        else format('null as %I', c.name) end
        when c.name <> all(sources) or c.name = any(history.key) then format('h.%I', c.name)
        else format('case when %1$L = any(h.%2$s) then (select p.%3$I from %4$s p where %5$s '
                    'and p.%6$s = h.%6$s and p.%7$s = h.%7$s and p.%8$s < h.%8$s '
                    'and p.%9$s not in (''d'', ''t'') and (%1$L = any(p.%2$s)) is not true '
                    'order by p.%8$s desc limit 1) else h.%3$I end as %3$I',
                    c.name, unchanged, c.name, relation, same_key, topic, partition_, offset_, op)
        end, ', ' order by c.n)
      into list from unnest(columns_) with ordinality as c (name, n);
    return format(
        'with ods_cut as materialized (select t.%3$s, t.%4$s, t.%8$s, t.cdc_timestamp from %5$s t '
        'where t.%7$s = ''t'' and t.cdc_timestamp <= %6$s) '
        'select %1$s from (select distinct on (%2$s) l.* from ('
        'select distinct on (%2$s, %3$s, %4$s) * from %5$s where cdc_timestamp <= %6$s and %7$s <> ''t'' '
        'and (%12$s) order by %2$s, %3$s, %4$s, %8$s desc, %9$s desc) l '
        'order by %2$s, l.cdc_timestamp desc, l.%10$s desc, l.%8$s desc) h '
        'where h.%7$s <> ''d'' and not exists (select from ods_cut t where case when t.%3$s = h.%3$s and t.%4$s = h.%4$s '
        'then t.%8$s > h.%8$s else t.cdc_timestamp > h.cdc_timestamp end)%11$s',
        list, keys, topic, partition_, relation, moment_, op, offset_, part, ingested, '',
        coalesce(only_, 'true'));
end
$body$;

comment on function ods_sink.as_of_query(ods_sink.history_tables, text, text[], text) is
    'ods-sink: the query for the rows of a history''s source as they were at a moment';

-- select * from ods_sink.as_of(null::customers, '2026-11-27 10:00'): the rows with the columns of that
-- table, which is the table itself or its history.
create or replace function ods_sink.as_of(relation anyelement, moment timestamp with time zone)
returns setof anyelement language plpgsql stable as $body$
declare
    class regclass := (select t.typrelid from pg_catalog.pg_type t
                        where t.oid = pg_typeof(relation))::regclass;
    columns_ text[];
    casts text; -- a table that somebody made may have other types
begin
    select array_agg(a.attname::text order by a.attnum),
           string_agg(format('q.%I::%s', a.attname, format_type(a.atttypid, a.atttypmod)), ', '
                      order by a.attnum)
      into columns_, casts
      from pg_catalog.pg_attribute a
     where a.attrelid = class and a.attnum > 0 and not a.attisdropped;
    return query execute format('select %s from (%s) q', casts, ods_sink.as_of_query(
        ods_sink.history_of((select format('%I.%I', c.relnamespace::regnamespace::text, c.relname)
                               from pg_catalog.pg_class c where c.oid = class)),
        '$1', columns_, null)) using moment;
end
$body$;

comment on function ods_sink.as_of(anyelement, timestamp with time zone) is
    'ods-sink: the rows of a table as they were: as_of(null::customers, moment)';

-- select * from ods_sink.as_of('customers', '2026-11-27 10:00'): each row as JSON.
create or replace function ods_sink.as_of(relation text, moment timestamp with time zone)
returns setof jsonb language plpgsql stable as $body$
declare
    history ods_sink.history_tables := ods_sink.history_of(relation);
begin
    return query execute format('select to_jsonb(r) from (%s) r', ods_sink.as_of_query(
        history, '$1', ods_sink.history_columns(
            format('%I.%I', history.table_schema, history.table_name)::regclass, history.prefix),
        null)) using moment;
end
$body$;

comment on function ods_sink.as_of(text, timestamp with time zone) is
    'ods-sink: the rows of a table as they were, as JSON: as_of(''customers'', moment)';

-- The moment of the views <table>_asof: the session's setting, else now.
create or replace function ods_sink.as_of_moment()
returns timestamp with time zone language sql stable as $body$
    select coalesce(nullif(current_setting('ods' || '_sink.as_of', true), '')::timestamp with time zone,
                    'infinity')
$body$;

comment on function ods_sink.as_of_moment() is
    'ods-sink: the moment that the views <table>_asof show';

-- What happened to one row, oldest first: what each change changed, from what to what. Values of the
-- columns in hidden_ are not shown. Of several partitions the one that began first comes first.
create or replace function ods_sink.key_history(
    relation text, names text[], values_ text[], hidden_ text[] default '{}', hidden_text text default '…')
returns table (moment timestamp with time zone, operation text, changes jsonb, transaction text,
               transaction_order bigint, topic text, partition integer, "offset" bigint)
language plpgsql stable as $body$
declare
    history ods_sink.history_tables := ods_sink.history_of(relation);
    class regclass := format('%I.%I', history.table_schema, history.table_name)::regclass;
    sources text[] := ods_sink.history_columns(class, history.prefix);
    matches text;
    change record;
    image jsonb;
    state jsonb := '{}';
begin
    select string_agg(format('h.%I = %L::%s', k.name, k.value, format_type(a.atttypid, -1)), ' and ')
      into matches from unnest(names, values_) as k (name, value)
      join pg_catalog.pg_attribute a on a.attrelid = class and a.attname = k.name;
    for change in execute format(
        'select h.cdc_timestamp as moment, h.%1$I as op, to_jsonb(h) as row, h.%2$I as unchanged, '
        'h.%3$I as tx, h.%4$I as tx_order, h.%5$I as topic, h.%6$I as partition, h.%7$I as place '
        'from %8$s h where %9$s order by min(h.cdc_timestamp) over (partition by h.%5$I, h.%6$I), '
        'h.%5$I, h.%6$I, h.%7$I, h.%10$I', history.prefix || 'op', history.prefix || 'unchanged',
        history.prefix || 'tx_id', history.prefix || 'tx_order', history.prefix || 'topic',
        history.prefix || 'partition', history.prefix || 'offset', class, matches,
        history.prefix || 'part') loop
        select coalesce(jsonb_object_agg(c.name, change.row -> c.name), '{}') into image
          from unnest(sources) as c (name)
         where change.op <> 'd' and (c.name = any(change.unchanged)) is not true;
        if change.op <> 'd' then
            image := state || image;
        end if;
        moment := change.moment; operation := change.op; transaction := change.tx;
        transaction_order := change.tx_order; topic := change.topic; partition := change.partition;
        "offset" := change.place;
        select coalesce(jsonb_object_agg(c.name, case
                   when c.name = any(hidden_) then jsonb_build_object('from', hidden_text, 'to', hidden_text)
                   else jsonb_build_object('from', state -> c.name, 'to', image -> c.name) end), '{}')
          into changes from unnest(sources) as c (name)
         where coalesce(state -> c.name, 'null') <> coalesce(image -> c.name, 'null');
        state := image;
        return next;
    end loop;
end
$body$;

comment on function ods_sink.key_history(text, text[], text[], text[], text) is
    'ods-sink: what happened to one row of a table that keeps its history';

-- Make or renew <table>_asof. What depends on a view that can't take its new columns keeps the old one.
create or replace function ods_sink.make_as_of_view(history ods_sink.history_tables)
returns void language plpgsql as $body$
declare
    relation regclass := format('%I.%I', history.table_schema, history.table_name)::regclass;
    name_ text := format('%I.%I', history.row_schema, history.row_table || '_asof');
    columns_ text[] := ods_sink.history_columns(relation, history.prefix);
    query text;
begin
    if to_regclass(name_) is not null and
       (obj_description(to_regclass(name_), 'pg_class') like 'ods-sink: %') is not true then
        raise notice '% is left as it is, since ods-sink has not made it: rename it, or set '
            'history.view to false', name_;
        return;
    end if;
    if (select array_agg(a.attname::text order by a.attnum) from pg_catalog.pg_attribute a
         where a.attrelid = to_regclass(name_) and a.attnum > 0) = columns_ then
        return;
    end if;
    query := format('create view %s as %s', name_, ods_sink.as_of_query(
        history, 'ods_sink.as_of_moment()', columns_, null));
    begin
        execute 'drop view if exists ' || name_;
        execute query;
        execute format('comment on view %s is %L', name_, 'ods-sink: the rows as they were at the '
            'time in the setting ' || 'ods' || '_sink.as_of, else as they are');
    exception when dependent_objects_still_exist or wrong_object_type then
        raise notice 'view % is left as it is: %', name_, sqlerrm;
    end;
end
$body$;

comment on function ods_sink.make_as_of_view(ods_sink.history_tables) is
    'ods-sink: make or renew the view <table>_asof of a history';

-- Drop the view of a history where this sink has made it: it would hold the types of its columns.
create or replace function ods_sink.drop_as_of_view(table_schema_ text, table_name_ text)
returns void language plpgsql as $body$
declare
    view_ text;
begin
    select format('%I.%I', h.row_schema, h.row_table || '_asof') into view_
      from ods_sink.history_tables h
     where (h.table_schema, h.table_name) = (table_schema_, table_name_);
    if obj_description(to_regclass(view_), 'pg_class') like 'ods-sink: %' then
        execute format('drop view %s', view_);
    end if;
end
$body$;

comment on function ods_sink.drop_as_of_view(text, text) is
    'ods-sink: drop the view of a history where this sink has made it';

-- Take out what is known of a history, and its view where this sink has made it.
create or replace function ods_sink.forget_history(table_schema_ text, table_name_ text)
returns void language plpgsql as $body$
begin
    perform ods_sink.drop_as_of_view(table_schema_, table_name_);
    delete from ods_sink.history_tables h
     where (h.table_schema, h.table_name) = (table_schema_, table_name_);
end
$body$;

comment on function ods_sink.forget_history(text, text) is
    'ods-sink: take out what is known of a history, and its view';

-- Enter a history, or what has changed of it.
create or replace function ods_sink.note_history(
    table_schema_ text, table_name_ text, source_database_ text, source_schema_ text,
    source_table_ text, row_schema_ text, row_table_ text, keeps_rows_ boolean, key_ text[],
    prefix_ text, partition_by_ text, ahead_ integer, retain_ interval, view_ boolean)
returns void language plpgsql as $body$
declare
    parted boolean := exists (
        select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where n.nspname = table_schema_ and c.relname = table_name_ and c.relkind = 'p');
    now_ ods_sink.history_tables;
    new_ boolean := not exists (
        select from ods_sink.history_tables h
         where (h.table_schema, h.table_name) = (table_schema_, table_name_));
begin
    insert into ods_sink.history_tables as h (
        table_schema, table_name, source_database, source_schema, source_table, row_schema,
        row_table, keeps_rows, key, prefix, partition_by, ahead, retain)
    values (table_schema_, table_name_, source_database_, source_schema_, source_table_, row_schema_,
            row_table_, keeps_rows_, coalesce(key_, '{}'), prefix_, case when parted then partition_by_ else 'none' end,
            ahead_, retain_)
        on conflict (table_schema, table_name) do update
       set row_schema = excluded.row_schema, row_table = excluded.row_table,
           keeps_rows = excluded.keeps_rows, key = coalesce(key_, h.key), prefix = excluded.prefix,
           ahead = excluded.ahead, retain = excluded.retain,
           partition_by = case when parted and excluded.partition_by = 'none' then h.partition_by
                               else excluded.partition_by end
     where (h.row_schema, h.row_table, h.keeps_rows, h.key, h.prefix, h.ahead, h.partition_by)
        is distinct from (excluded.row_schema, excluded.row_table, excluded.keeps_rows,
                          coalesce(key_, h.key), excluded.prefix, excluded.ahead, excluded.partition_by)
        or h.retain is distinct from excluded.retain;
    if new_ and parted and partition_by_ <> 'none' then -- before its first row
        perform ods_sink.make_history_partition(
                table_schema_, table_name_, date_trunc(partition_by_, now() at time zone 'UTC')
                + n * ('1 ' || partition_by_)::interval) from generate_series(0, ahead_) as n;
    end if;
    if view_ then
        select h.* into now_ from ods_sink.history_tables h
         where (h.table_schema, h.table_name) = (table_schema_, table_name_);
        perform ods_sink.make_as_of_view(now_);
    end if;
end
$body$;

comment on function ods_sink.note_history(
    text, text, text, text, text, text, text, boolean, text[], text, text, integer, interval, boolean) is
    'ods-sink: enter a history, or what has changed of it';

-- A partition's name, and its bounds in UTC.
create or replace function ods_sink.history_partition_name(
    history ods_sink.history_tables, lower_ timestamp without time zone)
returns text language sql immutable as $body$
    select case when octet_length(history.table_name) <= 52 then history.table_name
                else left(history.table_name, 30) || '_' || left(md5(history.table_name), 8) end
        || to_char(lower_, case history.partition_by when 'day' then '"_p"YYYYMMDD' else '"_p"YYYYMM' end)
$body$;

-- Make the partition that begins at lower_, and take into it what the default partition has of its time.
-- Nobody reads or writes the default partition meanwhile.
create or replace function ods_sink.make_history_partition(
    table_schema_ text, table_name_ text, lower_ timestamp without time zone)
returns void language plpgsql as $body$
declare
    history ods_sink.history_tables;
    relation regclass := format('%I.%I', table_schema_, table_name_)::regclass;
    others regclass := (select partdefid from pg_catalog.pg_partitioned_table
                         where partrelid = relation)::regclass;
    name_ text;
    bounds text;
    moved bigint := 0;
begin
    select h.* into strict history from ods_sink.history_tables h
     where (h.table_schema, h.table_name) = (table_schema_, table_name_);
    name_ := format('%I.%I', table_schema_, ods_sink.history_partition_name(history, lower_));
    perform pg_advisory_xact_lock(723549821, relation::oid::integer);
    if to_regclass(name_) is not null then
        return;
    end if;
    execute format('create table %s (like %s including defaults including constraints including storage '
                   'including comments)', name_, relation);
    bounds := format('cdc_timestamp >= %1$L and cdc_timestamp < %2$L', lower_ at time zone 'UTC',
                     (lower_ + ('1 ' || history.partition_by)::interval) at time zone 'UTC');
    if others <> 0 then
        execute format('lock table %s in access exclusive mode', others);
        execute format('with gone as (delete from %s where %s returning *) insert into %s select * from gone',
                       others, bounds, name_);
        get diagnostics moved = row_count;
    end if;
    execute format('alter table %s attach partition %s for values from (%L) to (%L)', relation, name_,
                   lower_ at time zone 'UTC',
                   (lower_ + ('1 ' || history.partition_by)::interval) at time zone 'UTC');
    insert into ods_sink.schema_history (table_schema, table_name, sql, topic, partition, record_offset)
    values (table_schema_, table_name_, format('partition %s made, %s rows taken into it', name_, moved),
            '', -1, -1);
end
$body$;

comment on function ods_sink.make_history_partition(text, text, timestamp without time zone) is
    'ods-sink: make a partition of a history';

-- What is to be done now about partitions, one statement a row: those ahead, those of rows that the
-- default partition has, and those that are older than is to be kept.
create or replace function ods_sink.history_due()
returns table (sql text) language plpgsql stable as $body$
declare
    h ods_sink.history_tables;
    relation regclass;
    others regclass;
    unit interval;
    first timestamp without time zone;
    oldest timestamp with time zone;
    part record;
begin
    for h in select * from ods_sink.history_tables t where t.partition_by <> 'none' loop
        relation := to_regclass(format('%I.%I', h.table_schema, h.table_name));
        continue when relation is null;
        unit := ('1 ' || h.partition_by)::interval;
        first := date_trunc(h.partition_by, now() at time zone 'UTC');
        oldest := now() - h.retain;
        others := (select partdefid from pg_catalog.pg_partitioned_table where partrelid = relation)::regclass;
        for part in select first + n * unit as lower_ from generate_series(0, h.ahead) as n loop
            if to_regclass(format('%I.%I', h.table_schema,
                                  ods_sink.history_partition_name(h, part.lower_))) is null then
                sql := format('select ods_sink.make_history_partition(%L, %L, %L)', h.table_schema,
                              h.table_name, part.lower_);
                return next;
            end if;
        end loop;
        if others <> 0 then
            if oldest is not null then
                execute format('select min(cdc_timestamp) from %s where isfinite(cdc_timestamp)', others)
                   into part;
                if part.min < oldest then
                    sql := format('delete from %s where isfinite(cdc_timestamp) and cdc_timestamp < %L',
                                  others, oldest);
                    return next;
                end if;
            end if;
            for part in execute format(
                'select distinct date_trunc(%L, cdc_timestamp at time zone ''UTC'') as lower_ from %s '
                'where isfinite(cdc_timestamp) and cdc_timestamp >= coalesce(%L::timestamptz, ''-infinity'') '
                'order by 1 limit 32', h.partition_by, others, oldest) loop
                sql := format('select ods_sink.make_history_partition(%L, %L, %L)', h.table_schema,
                              h.table_name, part.lower_);
                return next;
            end loop;
        end if;
        for part in
            select c.oid::regclass as name_, c.relname from pg_catalog.pg_inherits i
              join pg_catalog.pg_class c on c.oid = i.inhrelid
             where i.inhparent = relation and oldest is not null and c.oid <> others
               and c.relname ~ '_p[0-9]{6}([0-9]{2})?$'
               and (to_timestamp(rpad(substring(c.relname from '[0-9]+$'), 8, '01'), 'YYYYMMDD')
                    at time zone current_setting('TimeZone')) + unit
                   <= oldest at time zone 'UTC' loop
            sql := format('drop table %s', part.name_);
            return next;
        end loop;
    end loop;
end
$body$;

comment on function ods_sink.history_due() is
    'ods-sink: what is to be done now about partitions of histories';

-- Where histories lack a record of their topics, or have one twice. Records are passed over that are no
-- change: the tombstone behind a delete; and whatever stands in no history because its topic has other
-- tables too.
create or replace function ods_sink.find_history_gaps(relation text default null)
returns table (topic text, partition integer, from_offset bigint, upto_offset bigint, problem text,
               records bigint)
language plpgsql stable as $body$
declare
    parts text;
begin
    select string_agg(format(
        'select %1$s as topic, %2$s as partition, %3$s as "offset", %4$s as part, %5$s as op from %6$I.%7$I',
        quote_ident(h.prefix || 'topic'), quote_ident(h.prefix || 'partition'),
        quote_ident(h.prefix || 'offset'), quote_ident(h.prefix || 'part'),
        quote_ident(h.prefix || 'op'), h.table_schema, h.table_name), ' union all ')
      into parts from ods_sink.history_tables h
     where to_regclass(format('%I.%I', h.table_schema, h.table_name)) is not null
       and (relation is null or h = ods_sink.history_of(relation));
    if parts is null then
        return;
    end if;
    return query execute
        'with r as (select topic, partition, "offset", count(*) as times, count(distinct part) as parts, '
        '                  bool_or(op = ''d'') as deletes '
        '             from (' || parts || ') a group by 1, 2, 3), '
        's as (select r.*, lead("offset") over (partition by topic, partition order by "offset") as next '
        '        from r), '
        'e as (select s.*, coalesce(next, (select max(o.next_offset) from ods_sink.offsets o '
        '        where o.topic = s.topic and o.partition = s.partition '
        '          and o.consumer_group not like ''%.dlq'')) as stop from s) '
        'select topic, partition, "offset" + 1 + deletes::integer, stop, ''gap'', '
        '       stop - ("offset" + 1 + deletes::integer) '
        '  from e where stop > "offset" + 1 + deletes::integer '
        'union all '
        'select topic, partition, "offset", "offset" + 1, ''duplicate'', times - parts from r where times > parts '
        'union all '
        'select topic, partition, "offset", "offset" + 1, ''beyond the stored offset'', 1 from e '
        ' where next is null and stop <= "offset" '
        'order by 1, 2, 3';
end
$body$;

comment on function ods_sink.find_history_gaps(text) is
    'ods-sink: where histories, or that of one table, lack a record of their topics or have one twice';

create or replace view ods_sink.history_gaps as select * from ods_sink.find_history_gaps();

comment on view ods_sink.history_gaps is
    'ods-sink: where histories lack a record of their topics, or have one twice';

-- Which tables of the sources go into each table of the target. At most one of them goes there for its
-- name; the configuration names the table for each of the others (target:). What records do not say is ''.
create table if not exists ods_sink.table_sources (
    table_schema text not null,
    table_name text not null,
    source_database text not null, -- where the source has schemas too
    source_schema text not null,   -- or database, where it has none
    source_table text not null,
    named boolean not null,        -- by the configuration
    first_seen_at timestamp with time zone not null default clock_timestamp(),
    primary key (table_schema, table_name, source_database, source_schema, source_table)
);

create unique index if not exists table_sources_unnamed
    on ods_sink.table_sources (table_schema, table_name) where not named;

comment on table ods_sink.table_sources is
    'ods-sink: which tables of the sources go into each table of the target';

-- Enter a source of a table. NULL: it may write there; else the source that has the table already.
-- Topics, and so some records, have "_" for characters that they can't have.
create or replace function ods_sink.claim_table(
    table_schema_ text, table_name_ text, source_database_ text, source_schema_ text,
    source_table_ text, named_ boolean)
returns text language plpgsql as $body$
declare
    other text;
    seen ods_sink.table_sources;
    known record;
begin
    for attempt in 1..2 loop
        -- Both by one statement: another lane may enter the same source between two.
        select (array_agg(s order by s.named) filter (where its.own))[1] as own,
               max(concat_ws('.', nullif(s.source_database, ''), nullif(s.source_schema, ''),
                             s.source_table)) filter (where not its.own and not s.named) as other
          into known
          from ods_sink.table_sources s
         cross join lateral (select
               s.source_table = source_table_
               and (s.source_schema = '' or source_schema_ = ''
                    or regexp_replace(s.source_schema, '[^A-Za-z0-9_]', '_', 'g')
                       = regexp_replace(source_schema_, '[^A-Za-z0-9_]', '_', 'g'))
               and (s.source_database in ('', source_database_) or source_database_ = '')) its (own)
         where s.table_schema = table_schema_ and s.table_name = table_name_;
        seen := known.own;
        other := known.other;
        if other is not null and not named_ then
            return other;
        end if;
        begin
            if seen.source_table is null then
                insert into ods_sink.table_sources values
                    (table_schema_, table_name_, source_database_, source_schema_, source_table_, named_);
            elsif seen.named <> named_ or (seen.source_schema = '' and source_schema_ <> '')
                  or (seen.source_database = '' and source_database_ <> '') then
                update ods_sink.table_sources s
                   set named = named_,
                       source_schema = coalesce(nullif(s.source_schema, ''), source_schema_),
                       source_database = coalesce(nullif(s.source_database, ''), source_database_)
                 where (s.table_schema, s.table_name, s.source_database, s.source_schema,
                        s.source_table)
                     = (table_schema_, table_name_, seen.source_database, seen.source_schema,
                        seen.source_table);
            end if;
            return null;
        exception when unique_violation then -- by another lane, a moment ago
        end;
    end loop;
    return null;
end
$body$;

comment on function ods_sink.claim_table(text, text, text, text, text, boolean) is
    'ods-sink: enter a source of a table; answers with the source that has it already';

-- Move offsets from where the writer believes them to be (compare) to where its batch ends (swap), and
-- with them the times up to which the partitions are complete (-infinity: the batch does not tell; one
-- that goes back forgets it). A from of -1 says that none is stored yet. Whoever believes wrongly has
-- lost the partition to another writer: the exception rolls its whole batch back.
create or replace function ods_sink.advance(
    consumer_group_ text, topics text[], partitions integer[], froms bigint[], uptos bigint[],
    times timestamp with time zone[], cluster_ text)
returns void language plpgsql as $body$
declare
    moved bigint;
    begun bigint;
begin
    update ods_sink.offsets o
       set next_offset = b.upto, updated_at = clock_timestamp(),
           complete_to = case when b.upto >= b.from_
                              then nullif(greatest(o.complete_to, b.time_), '-infinity') end,
           cluster_id = case cluster_ when '' then o.cluster_id when '-' then null
                                      else cluster_ end
      from unnest(topics, partitions, froms, uptos, times) as b (topic, partition, from_, upto, time_)
     where o.consumer_group = consumer_group_ and o.topic = b.topic
       and o.partition = b.partition and o.next_offset = b.from_;
    get diagnostics moved = row_count;
    if moved < cardinality(topics) then
        insert into ods_sink.offsets (consumer_group, topic, partition, next_offset, cluster_id,
                                      complete_to)
        select consumer_group_, b.topic, b.partition, b.upto,
               case when cluster_ not in ('', '-') then cluster_ end,
               greatest(nullif(b.time_, '-infinity'),
                        (select s.complete_to from ods_sink.silent_partitions s
                          where s.consumer_group = consumer_group_ and s.topic = b.topic
                            and s.partition = b.partition))
          from unnest(topics, partitions, froms, uptos, times)
            as b (topic, partition, from_, upto, time_)
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

comment on function ods_sink.advance(text, text[], integer[], bigint[], bigint[],
                                     timestamp with time zone[], text) is
    'ods-sink: compare-and-swap of stored offsets; SQLSTATE OS001 when another writer moved them';

-- The same for daemons of earlier versions, which do not tell of clusters.
create or replace function ods_sink.advance(
    consumer_group_ text, topics text[], partitions integer[], froms bigint[], uptos bigint[],
    times timestamp with time zone[])
returns void language sql as $body$
    select ods_sink.advance(consumer_group_, topics, partitions, froms, uptos, times, '')
$body$;

comment on function ods_sink.advance(text, text[], integer[], bigint[], bigint[],
                                     timestamp with time zone[]) is
    'ods-sink: compare-and-swap of stored offsets, for earlier versions';

-- Nor of times.
create or replace function ods_sink.advance(
    consumer_group_ text, topics text[], partitions integer[], froms bigint[], uptos bigint[])
returns void language sql as $body$
    select ods_sink.advance(consumer_group_, topics, partitions, froms, uptos,
        array_fill('-infinity'::timestamp with time zone, array[cardinality(topics)]))
$body$;

comment on function ods_sink.advance(text, text[], integer[], bigint[], bigint[]) is
    'ods-sink: compare-and-swap of stored offsets, for earlier versions';

-- Which topics of a group carry which tables, as far as it has moved some of them.
create table if not exists ods_sink.topic_tables (
    consumer_group text not null,
    topic text not null,
    source_database text not null, -- as in table_sources
    source_schema text not null,
    source_table text not null,
    table_schema text not null,
    table_name text not null,
    first_seen_at timestamp with time zone not null default clock_timestamp(),
    primary key (consumer_group, topic, source_database, source_schema, source_table,
                 table_schema, table_name)
);

comment on table ods_sink.topic_tables is
    'ods-sink: which topics carry which tables, as far as they have been moved';

-- Partitions that a process of the group has and of which no offset is stored: nothing was in them yet.
create table if not exists ods_sink.silent_partitions (
    consumer_group text not null,
    topic text not null,
    partition integer not null,
    complete_to timestamp with time zone, -- as in offsets
    primary key (consumer_group, topic, partition)
) with (fillfactor = 50);

comment on table ods_sink.silent_partitions is
    'ods-sink: partitions in which nothing was yet, and up to when that is known';

-- Of partitions that were seen at their ends, where nothing is left to apply: they are complete up to
-- the heartbeat of their connector that was known before, since it sends in the order of its source.
-- offsets_: where that is, -1: it was not seen at its end. connectors and times: what the call before
-- answered. Answers the heartbeats as they are now. It waits for no
-- writer: a partition that one has in hand is left for the next time.
create or replace function ods_sink.freshen(
    consumer_group_ text, topics text[], partitions integer[], offsets_ bigint[],
    connectors text[], times timestamp with time zone[])
returns table (connector text, beat_at timestamp with time zone) language plpgsql as $body$
declare
    names text[];
    beats timestamp with time zone[];
begin
    -- A connector that is behind its source sends heartbeats all the same. As long as what it sends is
    -- old, the newest of that is what it has come to, also by a heartbeat that was known before.
    with known as (
        select substr(o.topic, length('__debezium-heartbeat.') + 1) as name_,
               max(o.complete_to) as time_, max(o.updated_at) - max(o.complete_to) as age
          from ods_sink.offsets o
         where o.consumer_group = consumer_group_ and o.complete_to is not null
           and starts_with(o.topic, '__debezium-heartbeat.') group by 1),
    come_to as (
        select k.name_, least(k.time_, (
                   select case when max(o.updated_at) - max(o.complete_to) > k.age + interval '10 seconds'
                               then max(o.complete_to) end
                     from ods_sink.offsets o
                    where o.consumer_group = consumer_group_ and starts_with(o.topic, k.name_ || '.')
                      and o.updated_at > clock_timestamp() - interval '1 minute')) as time_
          from known k)
    select array_agg(c.name_), array_agg(c.time_) into names, beats from come_to c;
    times := array(select least(t.time_, b.time_)
                     from unnest(connectors, times) with ordinality as t (name_, time_, n)
                     left join unnest(names, beats) as b (name_, time_) using (name_) order by t.n);
    insert into ods_sink.silent_partitions as s (consumer_group, topic, partition)
    select consumer_group_, b.topic, b.partition
      from unnest(topics, partitions, offsets_) as b (topic, partition, offset_)
     where not exists (select from ods_sink.silent_partitions k where k.consumer_group =
                       consumer_group_ and k.topic = b.topic and k.partition = b.partition)
       and not exists (select from ods_sink.offsets o where o.consumer_group = consumer_group_
                       and o.topic = b.topic and o.partition = b.partition)
        on conflict do nothing;
    with due as (
        select o.topic, o.partition, min(c.time_) as time_
          from unnest(topics, partitions, offsets_) as b (topic, partition, offset_)
          join unnest(connectors, times) as c (name_, time_) on starts_with(b.topic, c.name_ || '.')
          join ods_sink.offsets o on o.consumer_group = consumer_group_ and o.topic = b.topic
               and o.partition = b.partition and o.next_offset = b.offset_
         group by o.topic, o.partition, o.complete_to
        having o.complete_to is null or o.complete_to < min(c.time_)),
    locked as (
        select o.topic, o.partition, o.next_offset, d.time_
          from ods_sink.offsets o join due d using (topic, partition)
         where o.consumer_group = consumer_group_ for no key update of o skip locked)
    update ods_sink.offsets o set complete_to = l.time_
      from locked l, unnest(topics, partitions, offsets_) as b (topic, partition, offset_)
     where o.consumer_group = consumer_group_ and o.topic = l.topic and o.partition = l.partition
       and b.topic = l.topic and b.partition = l.partition and o.next_offset = b.offset_
       and (o.complete_to is null or o.complete_to < l.time_);
    update ods_sink.silent_partitions s set complete_to = b.time_
      from (select d.topic, d.partition, d.offset_, min(c.time_) as time_
              from unnest(topics, partitions, offsets_) as d (topic, partition, offset_)
              join unnest(connectors, times) as c (name_, time_)
                on starts_with(d.topic, c.name_ || '.')
             group by d.topic, d.partition, d.offset_) b
     where s.consumer_group = consumer_group_ and s.topic = b.topic and s.partition = b.partition
       and b.offset_ >= 0 and (s.complete_to is null or s.complete_to < b.time_);
    return query select * from unnest(names, beats);
end
$body$;

comment on function ods_sink.freshen(text, text[], integer[], bigint[], text[],
                                     timestamp with time zone[]) is
    'ods-sink: idle partitions are complete up to the heartbeat of their connector';

-- Up to when each table is complete: every change that its source committed until then is in it, or is a
-- dead letter. For whom it is: grant usage on schema ods_sink and select on this view.
create or replace view ods_sink.freshness as
with tables_ as (
    select distinct t.consumer_group, t.table_schema, t.table_name, t.topic
      from ods_sink.topic_tables t),
partitions_ as (
    select o.consumer_group, o.topic, o.partition, o.next_offset, o.complete_to, o.updated_at
      from ods_sink.offsets o
    union all
    select s.consumer_group, s.topic, s.partition, null, s.complete_to, null
      from ods_sink.silent_partitions s
     where not exists (select from ods_sink.offsets o where (o.consumer_group, o.topic, o.partition) =
                                                            (s.consumer_group, s.topic, s.partition)))
select t.table_schema, t.table_name, t.consumer_group,
       case when bool_and(p.complete_to is not null) then min(p.complete_to) end as complete_to,
       max(p.updated_at) as applied_at,
       jsonb_object_agg(p.topic || '/' || p.partition, p.next_offset order by p.topic, p.partition)
           as offsets
  from tables_ t join partitions_ p using (consumer_group, topic)
 group by t.table_schema, t.table_name, t.consumer_group;

comment on view ods_sink.freshness is
    'ods-sink: the source''s time and the offsets up to which each table is complete';

-- Wait until a table ("orders" or "shop.orders") is complete up to a time of its source. True: it is;
-- false: it was not when the time was up.
create or replace function ods_sink.wait_until(
    table_ text, time_ timestamp with time zone, timeout_ interval default '1 minute')
returns boolean language plpgsql as $body$
declare
    relation regclass := to_regclass(table_);
    until_ timestamp with time zone := clock_timestamp() + timeout_;
    pause float8 := 0.02;
    complete_ boolean;
begin
    if relation is null then
        raise exception 'there is no table %', table_ using errcode = '42P01';
    end if;
    if time_ is null or timeout_ is null then
        raise exception 'the time and the timeout must not be null' using errcode = '22004';
    end if;
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        raise exception 'in a transaction of isolation level % nothing new would ever be seen',
            current_setting('transaction_isolation') using errcode = '25001',
            hint = 'Wait before the transaction begins.';
    end if;
    loop
        select bool_and(coalesce(f.complete_to >= time_, false)) into complete_
          from ods_sink.freshness f join pg_catalog.pg_class c on c.relname = f.table_name
          join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = f.table_schema
         where c.oid = relation;
        if complete_ or clock_timestamp() >= until_ then
            return coalesce(complete_, false);
        end if;
        perform pg_catalog.pg_sleep(greatest(0, least(pause,
            extract(epoch from until_ - clock_timestamp())::float8)));
        pause := least(pause * 1.5, 0.5);
    end loop;
end
$body$;

comment on function ods_sink.wait_until(text, timestamp with time zone, interval) is
    'ods-sink: wait until a table is complete up to a time of its source; false: it was not in time';

-- The last order about each topic of a group (ods-sink pause, resume …). Every process of the group
-- looks about once a second for orders whose number is new, and obeys.
create table if not exists ods_sink.table_control (
    consumer_group text not null,
    topic text not null,
    state text not null check (state in ('running', 'paused', 'resync')),
    table_name text not null, -- as the operator calls it
    reason text not null,
    ordered_by text not null,
    ordered_at timestamp with time zone not null default clock_timestamp(),
    number bigint not null,   -- of the order, ever higher within the group
    primary key (consumer_group, topic)
);

comment on table ods_sink.table_control is
    'ods-sink: orders about single topics; what is not running is held by every process';

-- All orders ever given, and what came of them.
create table if not exists ods_sink.control_history (
    id bigint generated always as identity primary key,
    consumer_group text not null,
    topic text not null,
    table_name text not null,
    action text not null,
    details text not null,
    reason text not null,
    ordered_by text not null,
    ordered_at timestamp with time zone not null default clock_timestamp()
);

comment on table ods_sink.control_history is
    'ods-sink: orders about single tables, who gave them and why';

-- What people did by the page, by HTTP or by a command, and what was answered. Written before it is
-- done; without an answer it was not done to its end, or the process that did it has ended.
create table if not exists ods_sink.audit (
    id bigint generated always as identity primary key,
    at timestamp with time zone not null default clock_timestamp(),
    who text not null,        -- the operator of http.operators, or user@host of a command
    origin text not null,     -- the address that asked over HTTP; 'command'
    action text not null,
    consumer_group text not null,
    pipeline text not null,
    table_name text not null, -- as the one who asked calls it; '': it is about the pipeline
    topics text[] not null,
    reason text not null,
    answer text,
    answered_at timestamp with time zone
);

comment on table ods_sink.audit is
    'ods-sink: what people did, who, when, from where, why and with which answer';

-- When the processes of a group compared the target with its source, and what came of it last. The one
-- that does it holds an advisory lock of this table's number and the group's hash.
create table if not exists ods_sink.verify_runs (
    consumer_group text primary key,
    worker text,       -- the process that has or had the present run
    began_at timestamp with time zone, -- of the present run; NULL: none was begun and has not ended
    progress text,     -- how far it has come; NULL: nothing of it is settled
    failed_at timestamp with time zone, -- when it broke off last; NULL: it did not
    failure text,
    last_began_at timestamp with time zone, -- of the last one that ended
    last_ended_at timestamp with time zone,
    report text        -- of that one, JSON
);

comment on table ods_sink.verify_runs is
    'ods-sink: when each group''s target was compared with its source, and the last report';

-- What the rules of tables.yaml (quality) found, one row a run, rule and table. No values of rows are in
-- it. The process that checks holds an advisory lock of this table's number and the group's hash.
create table if not exists ods_sink.quality (
    consumer_group text not null,
    pipeline text not null,
    rule text not null,
    validator text not null,    -- the rule's check
    source_table text not null, -- "schema.table" as the source calls it, or "table"
    target_table text not null, -- "schema.table"; '' where the target has none
    began_at timestamp with time zone not null, -- the run
    in_flight boolean not null, -- of records on their way, since this process wrote the last such row
    by_daemon boolean not null,
    worker text not null,       -- the process
    state text not null,        -- pass, fail, unknown
    measured numeric,           -- rows that break the rule; of other checks what was measured
    looked_at bigint,           -- rows
    expected text,
    seconds double precision,   -- what it cost: how long it took
    why text,
    facts text,                 -- what the next run compares with
    of_hour timestamp with time zone -- of a volume: which hour was counted
);

create index if not exists quality_of_group
    on ods_sink.quality (consumer_group, rule, target_table, began_at);
create index if not exists quality_of_rule
    on ods_sink.quality (consumer_group, rule, target_table, source_table, in_flight, pipeline, began_at);
create index if not exists quality_by_time on ods_sink.quality (consumer_group, began_at);

comment on table ods_sink.quality is 'ods-sink: what rules about the data found (quality: in tables.yaml)';

-- The processes of a group, each as long as the session lasts in which it watches for orders.
create table if not exists ods_sink.control_members (
    consumer_group text not null,
    member text not null,
    lanes integer not null,
    confirmed bigint not null, -- number of the last order that all its lanes obey
    backend integer not null,  -- of that session
    entered_at timestamp with time zone not null default clock_timestamp(),
    primary key (consumer_group, member)
);

comment on table ods_sink.control_members is
    'ods-sink: the processes that watch for orders, and the last one that each of them obeys';

-- The same processes as they tell each other how they are, every few seconds; one that ends in order
-- takes its row away, and an hour after its last beat the others do.
create table if not exists ods_sink.members (
    consumer_group text not null,
    member text not null,
    pipeline text not null,
    host text not null,
    process_id bigint not null, -- as the host, or its container, counts
    version text not null,
    address text not null,      -- where its page is; '': nowhere
    lanes integer not null,
    state text not null,        -- as /status says it
    level text not null,        -- good, warn, bad
    says text not null,
    partitions integer not null,
    assigned text not null,     -- "topic 0-3, 5; topic …"
    lag bigint,                 -- records that wait; NULL: not known
    rate double precision not null, -- changes a second, since the beat before
    started_at timestamp with time zone not null,
    beat_at timestamp with time zone not null,
    primary key (consumer_group, member)
) with (fillfactor = 50);

comment on table ods_sink.members is
    'ods-sink: the processes of each group, how they are, and when each of them said so last';

-- Give an order about some topics. The number that every process is to confirm; or why it is refused:
-- one of the topics is not in one of the states that the order is meant for.
create or replace function ods_sink.order_topics(
    consumer_group_ text, topics text[], allowed text[], state_ text, table_name_ text,
    action_ text, details_ text, reason_ text, ordered_by_ text,
    out number_ bigint, out refusal text) language plpgsql as $body$
begin
    lock table ods_sink.table_control in share row exclusive mode;
    select format('%s is %s', t.topic, coalesce(c.state, 'running'))
           || coalesce(format(' since %s, ordered by %s',
                              to_char(c.ordered_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'),
                              c.ordered_by), '') || coalesce(': ' || nullif(c.reason, ''), '')
      into refusal
      from unnest(topics) t (topic)
      left join ods_sink.table_control c on c.consumer_group = consumer_group_ and c.topic = t.topic
     where coalesce(c.state, 'running') <> all (allowed) limit 1;
    if refusal is not null then
        return;
    end if;
    select coalesce(max(c.number), 0) + 1 into number_ from ods_sink.table_control c
     where c.consumer_group = consumer_group_;
    insert into ods_sink.table_control as c
        (consumer_group, topic, state, table_name, reason, ordered_by, number)
    select consumer_group_, t.topic, state_, table_name_, reason_, ordered_by_, number_
      from unnest(topics) t (topic)
        on conflict (consumer_group, topic) do update
       set state = excluded.state, table_name = excluded.table_name, reason = excluded.reason,
           ordered_by = excluded.ordered_by, ordered_at = excluded.ordered_at,
           number = excluded.number;
    insert into ods_sink.control_history
        (consumer_group, topic, table_name, action, details, reason, ordered_by)
    select consumer_group_, t.topic, table_name_, action_, details_, reason_, ordered_by_
      from unnest(topics) t (topic);
end
$body$;

comment on function ods_sink.order_topics(text, text[], text[], text, text, text, text, text, text) is
    'ods-sink: give an order about some topics, which every process is to confirm';

-- Tables that are made anew beside those that are read (ods-sink resync), until they are exchanged.
create table if not exists ods_sink.shadows (
    consumer_group text not null,
    table_schema text not null,
    table_name text not null,
    shadow_name text not null,  -- in the same schema
    shadow_group text not null, -- under which its offsets are stored
    begun_at timestamp with time zone not null default clock_timestamp(),
    primary key (table_schema, table_name)
);

comment on table ods_sink.shadows is
    'ods-sink: tables that are made anew beside those that are read, until they are exchanged';

-- Why a table can't take another one's place; NULL: it can. What hangs on a table stays with the old one.
create or replace function ods_sink.shadow_refusal(relation regclass)
returns text language sql stable as $body$
    select string_agg(what, '; ') from (
        select 'it is no plain table' as what from pg_class where oid = relation and relkind <> 'r'
        union all
        select 'it is part of another table, or has parts'
        where exists (select from pg_inherits where relation in (inhrelid, inhparent))
        union all
        select 'it is not owned by ' || current_user || ', but by ' || pg_get_userbyid(relowner)
        from pg_class where oid = relation and not pg_has_role(relowner, 'usage')
        union all
        select 'views depend on it: ' || string_agg(distinct r.ev_class::regclass::text, ', ')
        from pg_depend d join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
        where d.refclassid = 'pg_class'::regclass and d.refobjid = relation
          and r.ev_class <> relation having count(*) > 0
        union all
        select 'it has rules: ' || string_agg(rulename, ', ') from pg_rewrite
        where ev_class = relation having count(*) > 0
        union all
        select 'foreign keys refer to it or are its own: '
               || string_agg(conname || ' of ' || conrelid::regclass, ', ')
        from pg_constraint where contype = 'f' and relation in (conrelid, confrelid)
        having count(*) > 0
        union all
        select 'it has triggers: ' || string_agg(tgname, ', ') from pg_trigger
        where tgrelid = relation and not tgisinternal having count(*) > 0
        union all
        select 'it has row security' from pg_class
        where oid = relation and (relrowsecurity
              or exists (select from pg_policy where polrelid = relation))
        union all
        select 'publications name it: ' || string_agg(p.pubname, ', ')
        from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
        where r.prrelid = relation having count(*) > 0
        union all
        select 'its row type is used: ' || string_agg(pg_describe_object(d.classid, d.objid, 0), ', ')
        from pg_class c join pg_type t on t.oid = c.reltype
        join pg_depend d on d.refclassid = 'pg_type'::regclass
                        and d.refobjid in (t.oid, t.typarray) and d.deptype = 'n'
        where c.oid = relation having count(*) > 0
    ) reasons
$body$;

-- The grants on a table or its columns, as statements for another one.
create or replace function ods_sink.shadow_grants(relation regclass, other text)
returns setof text language sql stable as $body$
    select format('grant %s on %s to %s%s', a.privilege_type, other,
                  case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                  case when a.is_grantable then ' with grant option' else '' end)
    from pg_class c, aclexplode(c.relacl) a where c.oid = relation and a.grantee <> c.relowner
    union all
    select format('grant %s (%I) on %s to %s%s', a.privilege_type, t.attname, other,
                  case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                  case when a.is_grantable then ' with grant option' else '' end)
    from pg_class c join pg_attribute t on t.attrelid = c.oid, aclexplode(t.attacl) a
    where c.oid = relation and a.grantee <> c.relowner
$body$;

-- Forget a table that is made anew, with its rows.
create or replace function ods_sink.shadow_drop(table_schema_ text, table_name_ text)
returns boolean language plpgsql as $body$
declare
    shadow ods_sink.shadows;
begin
    delete from ods_sink.shadows s
     where s.table_schema = table_schema_ and s.table_name = table_name_ returning * into shadow;
    if shadow.shadow_name is null then
        return false;
    end if;
    execute format('drop table if exists %I.%I', table_schema_, shadow.shadow_name);
    delete from ods_sink.offsets where consumer_group = shadow.shadow_group;
    delete from ods_sink.moved_keys where consumer_group = shadow.shadow_group;
    delete from ods_sink.topic_tables where consumer_group = shadow.shadow_group;
    delete from ods_sink.table_sources s
     where s.table_schema = table_schema_ and s.table_name = shadow.shadow_name;
    delete from ods_sink.schema_history h
     where h.table_schema = table_schema_ and h.table_name = shadow.shadow_name;
    return true;
end
$body$;

-- Begin to make a table anew, or go on where that was left. begun: from its beginning.
create or replace function ods_sink.shadow_make(
    consumer_group_ text, table_schema_ text, table_name_ text, shadow_group_ text,
    in_place boolean, out shadow_name_ text, out begun boolean, out refusal text)
language plpgsql as $body$
declare
    relation regclass := to_regclass(format('%I.%I', table_schema_, table_name_));
    held ods_sink.shadows;
    statement text;
    other text;
begin
    begun := false;
    if relation is null then
        refusal := format('there is no table %I.%I', table_schema_, table_name_);
    elsif not in_place then
        refusal := ods_sink.shadow_refusal(relation);
    end if;
    select string_agg(distinct t.consumer_group, ', ') into other from ods_sink.topic_tables t
     where t.table_schema = table_schema_ and t.table_name = table_name_
       and t.consumer_group <> consumer_group_
       and not starts_with(t.consumer_group, consumer_group_ || '.');
    if other is not null then
        refusal := concat_ws('; ', refusal, 'other groups write to it: ' || other);
    end if;
    select string_agg(concat_ws('.', nullif(s.source_schema, ''), s.source_table), ', ') into other
      from ods_sink.table_sources s
     where s.table_schema = table_schema_ and s.table_name = table_name_
       and not exists (select from ods_sink.topic_tables t
                        where t.consumer_group = consumer_group_
                          and t.table_schema = table_schema_ and t.table_name = table_name_
                          and t.source_table = s.source_table
                          and (s.source_schema = '' or t.source_schema = ''
                               or regexp_replace(s.source_schema, '[^A-Za-z0-9_]', '_', 'g')
                                  = regexp_replace(t.source_schema, '[^A-Za-z0-9_]', '_', 'g')));
    if other is not null then
        refusal := concat_ws('; ', refusal, 'it has rows of ' || other || ', and the topic that '
                             'brings them is not known before its next record');
    end if;
    if refusal is not null then
        return;
    end if;
    select s.* into held from ods_sink.shadows s
     where s.table_schema = table_schema_ and s.table_name = table_name_;
    if held.shadow_group = shadow_group_ then
        if to_regclass(format('%I.%I', table_schema_, held.shadow_name)) is not null then
            shadow_name_ := held.shadow_name;
            return;
        end if;
    end if;
    perform ods_sink.shadow_drop(table_schema_, table_name_);
    begun := true;
    shadow_name_ := left(regexp_replace(table_name_, '[^A-Za-z0-9_]', '', 'g'), 30) || '__resync_'
                    || substr(md5(table_name_), 1, 12);
    insert into ods_sink.shadows
    values (consumer_group_, table_schema_, table_name_, shadow_name_, shadow_group_);
    execute format('create %s table %I.%I (like %s including all)%s%s',
                   (select case relpersistence when 'u' then 'unlogged' else '' end
                      from pg_class where oid = relation), table_schema_, shadow_name_, relation,
                   (select ' with (' || array_to_string(reloptions, ', ') || ')' from pg_class
                     where oid = relation and reloptions is not null),
                   (select ' tablespace ' || quote_ident(t.spcname) from pg_class c
                      join pg_tablespace t on t.oid = c.reltablespace where c.oid = relation));
    other := obj_description(relation, 'pg_class');
    if other is not null then
        execute format('comment on table %I.%I is %L', table_schema_, shadow_name_, other);
    end if;
    for statement in
        select ods_sink.shadow_grants(relation, format('%I.%I', table_schema_, shadow_name_))
        union all
        select format('alter table %I.%I alter column %I set statistics %s', table_schema_,
                      shadow_name_, attname, attstattarget) from pg_attribute
         where attrelid = relation and attnum > 0 and not attisdropped
           and coalesce(attstattarget, -1) >= 0
        union all
        select format('alter table %I.%I replica identity full', table_schema_, shadow_name_)
          from pg_class where oid = relation and relreplident = 'f'
        union all -- the last, as it takes the right to do the others away
        select format('alter table %I.%I owner to %I', table_schema_, shadow_name_,
                      pg_get_userbyid(relowner))
          from pg_class where oid = relation and pg_get_userbyid(relowner) <> current_user
    loop
        execute statement;
    end loop;
end
$body$;

-- How many rows both have, so that a topic that is not whole shows; and the planner learns of the new.
create or replace function ods_sink.shadow_count(
    table_schema_ text, table_name_ text, shadow_name_ text, out old bigint, out new bigint)
language plpgsql as $body$
begin
    perform set_config('enable_seqscan', 'on', true);
    execute format('select count(*) from %I.%I', table_schema_, table_name_) into old;
    execute format('select count(*) from %I.%I', table_schema_, shadow_name_) into new;
    execute format('analyze %I.%I', table_schema_, shadow_name_);
end
$body$;

-- The new table takes the old one's place, or its rows do (in_place), in one transaction: at the same
-- stored offsets, while the order of this number holds the topics. The number of the order by which
-- they go on; or why not.
create or replace function ods_sink.shadow_exchange(
    consumer_group_ text, topics text[], order_ bigint, table_schema_ text, table_name_ text,
    in_place boolean, state_ text, called text, reason_ text, ordered_by_ text,
    out number_ bigint, out refusal text, out behind boolean)
language plpgsql as $body$
declare
    relation regclass := to_regclass(format('%I.%I', table_schema_, table_name_));
    shadow ods_sink.shadows;
    fresh regclass;
begin
    behind := false;
    select s.* into shadow from ods_sink.shadows s
     where s.table_schema = table_schema_ and s.table_name = table_name_;
    fresh := to_regclass(quote_ident(table_schema_) || '.' || quote_ident(shadow.shadow_name));
    if relation is null or fresh is null then
        refusal := 'the table, or the one that was made for it, is gone';
        return;
    end if;
    lock table ods_sink.table_control in share row exclusive mode;
    select format('another order was given meanwhile: %s is %s, ordered by %s', c.topic, c.state,
                  c.ordered_by)
      into refusal from ods_sink.table_control c
     where c.consumer_group = consumer_group_ and c.topic = any (topics)
       and (c.number <> order_ or c.state <> 'resync') limit 1;
    if refusal is not null then
        return;
    end if;
    perform from ods_sink.offsets o
      where o.consumer_group = consumer_group_ and o.topic = any (topics) for update;
    select true into behind from ods_sink.offsets o
      left join ods_sink.offsets s on s.consumer_group = shadow.shadow_group
                                  and s.topic = o.topic and s.partition = o.partition
     where o.consumer_group = consumer_group_ and o.topic = any (topics)
       and o.next_offset <> coalesce(s.next_offset, 0) limit 1;
    if behind then
        return;
    end if;
    behind := false;
    execute format('lock table %s in %s mode', relation,
                   case when in_place then 'share row exclusive' else 'access exclusive' end);
    select string_agg(coalesce(o.name, n.name), ', ') into refusal
      from (select attname as name, format_type(atttypid, atttypmod) as type, attnotnull as required
              from pg_attribute where attrelid = relation and attnum > 0 and not attisdropped) o
      full join (select attname as name, format_type(atttypid, atttypmod) as type,
                        attnotnull as required from pg_attribute
                  where attrelid = fresh and attnum > 0 and not attisdropped) n using (name)
     where o.type is distinct from n.type or o.required is distinct from n.required;
    if refusal is not null then
        refusal := 'its columns were changed meanwhile (' || refusal
                   || '): resync --again begins anew';
        return;
    end if;
    if in_place then
        perform ods_sink.shadow_copy(relation, fresh);
        perform ods_sink.derived_mark_all(table_schema_, table_name_);
    else
        refusal := ods_sink.shadow_refusal(relation);
        if refusal is not null then
            return;
        end if;
        perform ods_sink.shadow_replace(relation, fresh, table_schema_, table_name_);
    end if;
    update ods_sink.offsets o set updated_at = clock_timestamp()
     where o.consumer_group = consumer_group_ and o.topic = any (topics);
    perform ods_sink.shadow_drop(table_schema_, table_name_);
    select r.number_, r.refusal into number_, refusal from ods_sink.order_topics(
        consumer_group_, topics, '{resync}', state_, called, 'resync',
        format('%s.%s was made anew%s', table_schema_, table_name_,
               case when in_place then ', in its place' else '' end), reason_, ordered_by_) r;
end
$body$;

-- One table takes another's place and name, with the names of its indexes and with its sequences.
create or replace function ods_sink.shadow_replace(
    relation regclass, fresh regclass, table_schema_ text, table_name_ text)
returns void language plpgsql as $body$
declare
    statement text;
    statements text[];
begin
    -- Sequences: those of serial columns move over, those of identity columns go on.
    select coalesce(array_agg(s), '{}') into statements from (
        select format('alter sequence %s owned by %s.%I', d.objid::regclass, fresh, a.attname) as s
          from pg_depend d join pg_class q on q.oid = d.objid and q.relkind = 'S'
          join pg_attribute a on a.attrelid = relation and a.attnum = d.refobjsubid
         where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
           and d.refobjid = relation and d.deptype = 'a'
        union all
        select format('select setval(%L, (select last_value from %s), (select is_called from %s))',
                      pg_get_serial_sequence(fresh::text, a.attname),
                      pg_get_serial_sequence(relation::text, a.attname),
                      pg_get_serial_sequence(relation::text, a.attname))
          from pg_attribute a
         where a.attrelid = relation and a.attidentity <> '' and not a.attisdropped) moves;
    foreach statement in array statements loop
        execute statement;
    end loop;
    -- Indexes of one definition pair up; of several alike it does not matter which takes which name.
    select coalesce(array_agg(format('alter index %s rename to %I', n.index, o.name)), '{}')
      into statements
      from (select c.relname as name, ods_sink.shadow_index(i.indexrelid) as key,
                   row_number() over (partition by ods_sink.shadow_index(i.indexrelid)
                                      order by c.relname) as turn
              from pg_index i join pg_class c on c.oid = i.indexrelid
             where i.indrelid = relation) o
      join (select i.indexrelid::regclass as index, ods_sink.shadow_index(i.indexrelid) as key,
                   row_number() over (partition by ods_sink.shadow_index(i.indexrelid)
                                      order by c.relname) as turn
              from pg_index i join pg_class c on c.oid = i.indexrelid
             where i.indrelid = fresh) n using (key, turn);
    execute format('drop table %s', relation);
    execute format('alter table %s rename to %I', fresh, table_name_);
    foreach statement in array statements loop
        execute statement;
    end loop;
end
$body$;

-- What an index is, without its name and its table's.
create or replace function ods_sink.shadow_index(index oid)
returns text language sql stable as $body$
    select concat_ws('/', i.indisprimary, i.indisunique,
                     regexp_replace(pg_get_indexdef(index), '^.* USING ', ''))
    from pg_index i where i.indexrelid = index
$body$;

-- The rows of one table become another's: what is equal is not touched, so that whoever reads sees the
-- old rows until it is done, and nothing that hangs on the table is disturbed.
create or replace function ods_sink.shadow_copy(relation regclass, fresh regclass)
returns void language plpgsql as $body$
declare
    all_ text;   -- its columns, but for generated ones
    olds text;
    news text;
    sets text;
    keys text;   -- how two rows are one; NULL: it has no key
begin
    perform set_config(name, 'on', true)
      from unnest('{enable_seqscan,enable_hashjoin,enable_mergejoin}'::text[]) name;
    select string_agg(quote_ident(attname), ', ' order by attnum),
           string_agg(format('t.%I', attname), ', ' order by attnum),
           string_agg(format('s.%I', attname), ', ' order by attnum),
           string_agg(format('%1$I = s.%1$I', attname), ', ' order by attnum)
             filter (where attidentity <> 'a')
      into all_, olds, news, sets from pg_attribute
     where attrelid = relation and attnum > 0 and not attisdropped and attgenerated = '';
    select string_agg(format('t.%1$I = s.%1$I', a.attname), ' and ') into keys
      from pg_index i join pg_attribute a on a.attrelid = relation and a.attnum = any (i.indkey)
     where i.indrelid = relation and i.indisprimary;
    if keys is null then
        execute format('delete from %s', relation);
        execute format('insert into %s (%s) overriding system value select %s from %s', relation,
                       all_, all_, fresh);
        return;
    end if;
    execute format('delete from %s t where not exists (select from %s s where %s)', relation, fresh,
                   keys);
    execute format('update %s t set %s from %s s '
                   'where %s and record_image_ne(row(%s), row(%s))', relation, sets, fresh, keys,
                   olds, news);
    execute format('insert into %s (%s) overriding system value select %s from %s s '
                   'where not exists (select from %s t where %s)', relation, all_, all_, fresh,
                   relation, keys);
end
$body$;

-- Rows that were erased (ods-sink erase): when, by whom and how many. The key's values are not kept.
create table if not exists ods_sink.erasures (
    id bigint generated always as identity primary key,
    erased_at timestamp with time zone not null default clock_timestamp(),
    erased_by text not null,
    consumer_group text not null,
    table_schema text not null,
    table_name text not null,
    key_columns text[] not null,
    rows bigint not null,
    history_rows bigint not null,
    shadow_rows bigint not null,
    letters bigint not null
);

comment on table ods_sink.erasures is
    'ods-sink: rows that were erased, by whom and how many, without the values of their keys';

-- Delete the rows whose columns have these values, or with look_ count them. NULL: there is no such
-- table, or it lacks one of the columns.
create or replace function ods_sink.erase_rows(
    relation regclass, columns_ text[], values_ text[], look_ boolean)
returns bigint language plpgsql as $body$
declare
    found_ bigint;
    same text;
    known bigint;
begin
    select string_agg(format('t.%I = ($1)[%s]::%s', a.attname, c.number,
                             format_type(a.atttypid, -1)), ' and '), count(*)
      into same, known
      from unnest(columns_) with ordinality as c (name, number)
      join pg_attribute a on a.attrelid = relation and a.attname = c.name
                         and a.attnum > 0 and not a.attisdropped;
    if relation is null or known < cardinality(columns_) or cardinality(columns_) = 0 then
        return null;
    end if;
    if look_ then
        execute format('select count(*) from %s t where %s', relation, same) into found_ using values_;
    else
        execute format('delete from %s t where %s', relation, same) using values_;
        get diagnostics found_ = row_count;
    end if;
    return found_;
end
$body$;

-- Erase a row from its table, its history and a table that is made anew in its place, and keep that it
-- was done. The offsets are held meanwhile, so that no writer is in the middle of the row's changes.
-- behind: how many records of these partitions before these offsets are not applied yet; then nothing
-- is done. look_: nothing is done at all.
create or replace function ods_sink.erase(
    consumer_group_ text, table_schema_ text, table_name_ text, history_schema_ text,
    history_name_ text, columns_ text[], values_ text[], topics_ text[], partitions_ integer[],
    offsets_ bigint[], letters_ bigint, by_ text, look_ boolean,
    out behind bigint, out rows_ bigint, out history_rows_ bigint, out shadow_rows_ bigint)
language plpgsql as $body$
declare
    shadow_ text;
begin
    if not look_ then
        perform from ods_sink.offsets o
           join unnest(topics_, partitions_) as p (topic, partition) using (topic, partition)
          where o.consumer_group = consumer_group_
          order by o.topic, o.partition for update of o;
    end if;
    select coalesce(sum(greatest(p.upto - coalesce(o.next_offset, 0), 0)), 0) into behind
      from unnest(topics_, partitions_, offsets_) as p (topic, partition, upto)
      left join ods_sink.offsets o on o.consumer_group = consumer_group_
                                  and o.topic = p.topic and o.partition = p.partition;
    if behind > 0 and not look_ then
        return;
    end if;
    select s.shadow_name into shadow_ from ods_sink.shadows s
     where s.table_schema = table_schema_ and s.table_name = table_name_;
    rows_ := ods_sink.erase_rows(
        to_regclass(quote_ident(table_schema_) || '.' || quote_ident(table_name_)),
        columns_, values_, look_);
    history_rows_ := ods_sink.erase_rows(
        to_regclass(quote_ident(history_schema_) || '.' || quote_ident(history_name_)),
        columns_, values_, look_);
    shadow_rows_ := ods_sink.erase_rows(
        to_regclass(quote_ident(table_schema_) || '.' || quote_ident(shadow_)),
        columns_, values_, look_);
    if not look_ then
        perform ods_sink.derived_mark_all(table_schema_, table_name_); -- and with it what was derived
        perform ods_sink.derived_mark_all(history_schema_, history_name_);
        insert into ods_sink.erasures (erased_by, consumer_group, table_schema, table_name,
                                       key_columns, rows, history_rows, shadow_rows, letters)
        values (by_, consumer_group_, table_schema_, table_name_, columns_, coalesce(rows_, 0),
                coalesce(history_rows_, 0), coalesce(shadow_rows_, 0), letters_);
    end if;
end
$body$;

-- Derived tables (docs/derived.md): what the target keeps equal to a query over other tables of it.
create table if not exists ods_sink.derived (
    name text primary key,            -- schema.table
    definition text not null,         -- of the configuration that made it; another one makes it anew
    sources text[] not null,          -- the tables that it depends on, schema.table
    bases text not null,              -- which tables these names stand for; another one marks all
    passes bigint not null default 0, -- that have changed something
    fresh_at timestamp with time zone, -- at this moment it was exactly its query,
    offsets jsonb,                    -- and the tables had the effect of exactly what is below these:
                                      -- {consumer group: {topic: {partition: next_offset}}}
    problem text                      -- why it is not computed; NULL: it is
) with (fillfactor = 50);

comment on table ods_sink.derived is 'ods-sink: derived tables, and since when each is its query';

-- Which rows of tables have changed, for each derived table that depends on them. Written in the
-- transaction that changes the rows, taken by the one that computes the derived table anew.
create table if not exists ods_sink.derived_marks (
    derived text not null,
    source text not null, -- as `depends` calls the table
    keys text[]           -- for each column of `by` an array of values, all of one length; NULL: any row
);

alter table ods_sink.derived_marks alter column keys set storage external;
create index if not exists derived_marks_of on ods_sink.derived_marks (derived);

comment on table ods_sink.derived_marks is 'ods-sink: changed rows that derived tables are to follow';

-- All rows of those that depend on a table are computed anew: for a change that leaves no marks itself.
create or replace function ods_sink.derived_mark_all(table_schema_ text, table_name_ text)
returns void language sql as $body$
    insert into ods_sink.derived_marks (derived, source)
    select d.name, '' from ods_sink.derived d where table_schema_ || '.' || table_name_ = any (d.sources)
$body$;

comment on function ods_sink.derived_mark_all(text, text) is
    'ods-sink: compute what is derived from a table anew';

-- Keys that did not fit into a pass.
create table if not exists ods_sink.derived_todo (
    id bigint generated always as identity primary key,
    derived text not null,
    keys text[] not null, -- for each column of the anchor an array of values
    count bigint not null
);

alter table ods_sink.derived_todo alter column keys set storage external;
create index if not exists derived_todo_next on ods_sink.derived_todo (derived, id);

comment on table ods_sink.derived_todo is 'ods-sink: keys of derived tables that wait for their pass';

-- Keys whose query fails: their rows stay as they were, until a row that they depend on changes.
create table if not exists ods_sink.derived_errors (
    derived text not null,
    key jsonb not null, -- the anchor
    code text not null, -- SQLSTATE
    message text not null,
    since timestamp with time zone not null default clock_timestamp(),
    tried_at timestamp with time zone not null default clock_timestamp(),
    primary key (derived, key)
);

comment on table ods_sink.derived_errors is
    'ods-sink: keys of derived tables whose query fails, with PostgreSQL''s words';

-- The offsets up to which each derived table is exact.
create or replace view ods_sink.derived_freshness as
select d.name as derived, d.fresh_at, g.key as consumer_group, t.key as topic,
       p.key::integer as partition, p.value::bigint as next_offset
  from ods_sink.derived d, jsonb_each(d.offsets) as g, jsonb_each(g.value) as t,
       jsonb_each_text(t.value) as p;

comment on view ods_sink.derived_freshness is 'ods-sink: the offsets up to which derived tables are exact';

-- Marks for whoever writes the table: a trigger for each statement, whose arguments are the derived
-- table, the table's name in `depends`, and the columns `by`. Texts have one form, whatever the
-- writer's session says.
create or replace function ods_sink.derived_mark() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp set datestyle = 'ISO, MDY' set intervalstyle = 'postgres'
    set timezone = 'UTC' set extra_float_digits = 1 set bytea_output = 'hex' as $body$
declare
    columns_ text := (select string_agg(quote_ident(c), ', ' order by n)
                        from unnest(tg_argv[2:]) with ordinality as a (c, n));
    arrays text := (select string_agg(format('array_agg(c.%I)::text', c), ', ' order by n)
                      from unnest(tg_argv[2:]) with ordinality as a (c, n));
    rows_ text := case tg_op
        when 'INSERT' then format('select %s from new_rows', columns_)
        when 'DELETE' then format('select %s from old_rows', columns_)
        else format('select %s from old_rows union all select %s from new_rows', columns_, columns_)
        end;
begin
    if tg_op = 'TRUNCATE' then
        insert into ods_sink.derived_marks (derived, source) values (tg_argv[0], tg_argv[1]);
        return null;
    end if;
    execute format('insert into ods_sink.derived_marks (derived, source, keys)
                    select %L, %L, array[%s] from (select distinct * from (%s) r) c
                    having count(*) > 0', tg_argv[0], tg_argv[1], arrays, rows_);
    return null;
end
$body$;

comment on function ods_sink.derived_mark() is
    'ods-sink: trigger of tables that derived tables depend on, for other writers';
