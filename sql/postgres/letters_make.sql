-- The table of dead letters; another name may stand in place of this one.
-- letter: the record, and in its headers all that is said of it, as `kcat -J` writes records.
create table if not exists ods_sink.dead_letters (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    pipeline text not null,
    topic text not null,
    partition integer not null,
    record_offset bigint not null,
    stage text not null,
    code text,
    error text not null,
    letter json not null
);
