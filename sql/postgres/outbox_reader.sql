-- Where the reader of an outbox is: the place that is numbered next, and below which all is settled.
-- $1: the outbox's name.
with made as (
    insert into ods_sink.outbox_readers as r (name) values ($1)
        on conflict (name) do update set name = r.name
    returning r.next_place, r.settled)
select next_place, settled from made;
