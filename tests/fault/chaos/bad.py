"""Records that can't be applied, of every kind: what each is, and what must become of it.

Each goes to a topic of the load, among records that are right, and has a key of its own: what a later
change of the same key makes superfluous need not become a dead letter. All of them must stand in the
dead-letter topic, by topic, partition and offset, and no other record may.
"""

import copy
import json
import os
import random
from dataclasses import dataclass

from lib.records import DATE, DATETIME, INT, TEXT

DECODE, APPLY = "decode", "apply"
KINDS = {}


@dataclass(frozen=True)
class Kind:
    name: str
    text: str     # for docs/reliability.md
    stage: str    # where the sink must notice it
    make: object  # (workload, number) -> record
    server: bool  # PostgreSQL refuses it: its batch is searched
    weight: float


@dataclass(frozen=True)
class Letter:
    """What the dead-letter topic must hold of a record."""

    kind: str
    stage: str
    key: bytes
    value: bytes


def kind(text, stage, server=False, weight=1.0):
    def keep(function):
        name = function.__name__
        KINDS[name] = Kind(name, text, stage, function, server, weight)
        return function
    return keep


def chosen():
    """The kinds of this run: all, or those of ODS_FAULT_KINDS=name,name."""
    wish = os.environ.get("ODS_FAULT_KINDS")
    return [KINDS[name] for name in wish.split(",")] if wish else list(KINDS.values())


# What the kinds need in the target, beside the load's own tables (workload.TABLES). Two rows are there
# before the load begins.
TAKEN = {"region": "poison", "number": 0, "note": "taken", "amount": 0}
TAKEN_EVENT = (0, "taken")
TABLES = """
create type mood as enum ('good', 'bad');
create table parents (id int primary key);
create table regions (name text primary key);
insert into regions values ('north'), ('süd'), ('west'), ('poison');
alter table orders add unique (note), add foreign key (region) references regions;
insert into orders values ('poison', 0, 'taken', 0);
create index on documents (title);
create domain code as text check (value ~ '^[A-Z]+$');
alter table events add address inet, add mood mood, add span interval, add uid uuid, add doc jsonb,
    add day date, add small smallint, add price numeric(5,2), add clock time, add at timestamp,
    add photo bytea, add flag boolean, add bits bit(8), add code code,
    add part int generated always as (100 / small) stored,
    add room int4range, add exclude using gist (room with &&),
    add parent int references parents deferrable initially deferred;
insert into events (n, text, room) values (0, 'taken', '[1,10)');
create table accounts (id int, code text primary key);
create function refuse() returns trigger language plpgsql as $body$
    begin
        if new.name = 'refused' then
            raise exception 'a rule of the business: %', new.id;
        end if;
        return new;
    end $body$;
create trigger refuse before insert or update on items for each row execute function refuse();
create function recurse() returns void language plpgsql as $body$
    begin perform recurse(); end $body$;
create function refuse_late() returns trigger language plpgsql as $body$
    begin
        if new.name = 'refused late' then
            raise exception 'a rule of the business, at the end: %', new.id;
        elsif new.name = 'recurse' then
            perform recurse();
        end if;
        return null;
    end $body$;
create constraint trigger refuse_late after insert or update on items initially deferred
    for each row execute function refuse_late();
create table checked (id int primary key, name text, amount int);
create view small as select * from checked where amount < 10 with check option;
"""
# Columns of `events` that only some of its records have, and a value that is right.
MICROTIME = {"type": "int64", "name": "io.debezium.time.MicroTime", "version": 1}
RARE = {"address": (TEXT, "10.0.0.1"), "mood": (TEXT, "good"), "span": (TEXT, "1 day 02:00"),
        "uid": (TEXT, "6e0e1c6e-31ec-4f7e-a9e3-2f4a9e5f6a11"), "doc": (TEXT, '{"a": 1}'),
        "day": (DATE, 20_000), "small": (INT, 7), "price": ({"type": "double"}, 1.25),
        "clock": (MICROTIME, 75_723_000_000), "at": (DATETIME, 1_760_000_000_000),
        "photo": ({"type": "bytes"}, "AAEC/w=="), "flag": ({"type": "boolean"}, True),
        "bits": (TEXT, "10101010"), "code": (TEXT, "ABC"), "parent": (INT, None)}


def rare(workload, number, column, value, schema=None, text="rare"):
    """A record of `events` with a column that most don't have."""
    table = copy.copy(workload.events)  # its topic and offsets are the same
    table.columns = {**table.columns, column: schema or RARE[column][0]}
    return table.create({"n": number, "text": text, column: value}, partition=number % 3)


def good_rare(workload, number, text):
    column = workload.random.choice(list(RARE))
    return rare(workload, number, column, RARE[column][1], text=text)


def item(workload, number, **values):
    return workload.items.create({"id": number, **values}, partition=number % 4)


# ---- what can't be read ---------------------------------------------------------------------------

def with_payload(record, payload):
    return {**record, "payload": payload}


def envelope(record, **changed):
    """The record with other members in its envelope."""
    value = json.loads(record["payload"])
    value["payload"].update(changed)
    return with_payload(record, json.dumps(value))


@kind("JSON that ends in the middle", DECODE)
def cut_short(workload, number):
    record = item(workload, number)
    return with_payload(record, '{"poison": %d, "payload": {"op": "c", "after": ' % number)


@kind("bytes that are no UTF-8", DECODE)
def not_text(workload, number):
    record = item(workload, number, name="MARK")
    return with_payload(record, record["payload"].encode().replace(b"MARK", b"\xff\xc3("))


@kind("a value that is no object", DECODE)
def no_object(workload, number):
    return with_payload(item(workload, number), workload.random.choice(
        [f"[{number}]", str(number), f'"{number}"', "true"]))


@kind("an object that is neither envelope nor row", DECODE)
def no_envelope(workload, number):
    image = {"id": number, "name": None, "amount": None}
    return with_payload(item(workload, number), json.dumps(workload.random.choice([
        {"hello": number}, {"op": 5, **image}, {"op": ["c"], "before": None, "after": image},
        {"op": "c", "before": None, "after": [image], "source": {}},
        {"op": "c", "before": None, "after": str(number), "source": number}])))


@kind("JSON nested too deep", DECODE)
def too_deep(workload, number):
    return with_payload(item(workload, number), '{"after":' + "[" * 2000 + "]" * 2000 + "}")


@kind("a flattened row with an operation that is none", DECODE)
def no_flat_operation(workload, number):
    return with_payload(item(workload, number), json.dumps(
        {"id": number, **workload.random.choice([{"__op": "z"}, {"__op": 1}, {"__deleted": "?"}])}))


@kind("an envelope with an op that is none", DECODE)
def no_operation(workload, number):
    return envelope(item(workload, number), op=workload.random.choice(["x", "", "create"]))


@kind("an envelope without the image that its op needs", DECODE)
def no_image(workload, number):
    return envelope(item(workload, number), after=None)


@kind("a value of another type than its schema says", DECODE)
def other_type(workload, number):
    return item(workload, number, amount=workload.random.choice(["many", True, {"a": 1}]))


@kind("a column that the record's schema does not have", DECODE)
def no_column(workload, number):
    record = item(workload, number)
    image = {"id": number, "name": None, "amount": None, "surprise": 1}
    return envelope(record, after=image)


@kind("bytes that are no base64", DECODE)
def no_base64(workload, number):
    return rare(workload, number, "photo", "~~~~")


@kind("a key that can't be read", DECODE)
def no_key(workload, number):
    return {**item(workload, number), "key": workload.random.choice(
        ["Struct{id=%d}" % number, "[%d]" % number, b"\xff\xfe"])}


@kind("MongoDB's envelope", DECODE)
def document(workload, number):
    return with_payload(item(workload, number), json.dumps({
        "before": None, "after": json.dumps({"_id": number}), "op": "c", "ts_ms": 1,
        "source": {"connector": "mongodb", "db": "shop", "collection": "items"}}))


@kind("a tombstone with a key that can't be read", DECODE)
def tombstone_without_key(workload, number):
    return {**item(workload, number), "payload": None, "key": workload.random.choice(
        ["Struct{id=%d}" % number, "[%d]" % number, str(number)])}


@kind("an update by another key than the record's, without the row before", DECODE)
def other_key(workload, number):
    return workload.accounts.update(None, {"id": number, "code": f"c{number}"})


@kind("a tombstone without a key", DECODE)
def tombstone_of_nothing(workload, number):
    return {**item(workload, number), "payload": None, "key": None}


# ---- what the target's types don't hold -----------------------------------------------------------

@kind("an integer out of range", APPLY)
def integer_range(workload, number):
    return item(workload, number, amount=2**40)


@kind("a number with more digits than its column", APPLY)
def number_range(workload, number):
    return rare(workload, number, "price", workload.random.choice([12345.5, 1.005]))


@kind("smallint out of range", APPLY)
def small_range(workload, number):
    return rare(workload, number, "small", 40_000)


@kind("a text that is too long", APPLY)
def length(workload, number):
    return workload.orders.create({"region": "poison", "number": number, "note": "x" * 41},
                                  partition=number % 3)


@kind("the character U+0000", APPLY)
def nul(workload, number):
    return item(workload, number, name="a\0b")


@kind("a time in another unit than its schema says", APPLY)
def time_unit(workload, number):
    return rare(workload, number, "clock", 75_723_000_000_000)


@kind("a timestamp in another unit than its schema says", APPLY)
def timestamp_unit(workload, number):
    return rare(workload, number, "at", 1_760_000_000_000_000_000)


@kind("text that is no uuid", APPLY)
def text_uuid(workload, number):
    return rare(workload, number, "uid", "not-a-uuid")


@kind("text that is no address", APPLY, server=True)
def text_inet(workload, number):
    return rare(workload, number, "address", "10.0.0.0.1")


@kind("text that is no label of an enum", APPLY, server=True)
def text_enum(workload, number):
    return rare(workload, number, "mood", "gloomy")


@kind("text that is no interval", APPLY)
def text_interval(workload, number):
    return rare(workload, number, "span", "soon")


@kind("text that is no JSON, for jsonb", APPLY)
def text_json(workload, number):
    return rare(workload, number, "doc", '{"n": ')


@kind("text that is no range, bits or boolean", APPLY)
def text_others(workload, number):
    column, value = workload.random.choice([("bits", "101"), ("room", "[3,1)"), ("flag", "perhaps")])
    return rare(workload, number, column, value, schema=TEXT)


@kind("text that is no date", APPLY)
def text_date(workload, number):
    return rare(workload, number, "day", "2025-02-30", schema=TEXT)


# ---- what the target's constraints refuse ---------------------------------------------------------

@kind("a `CHECK`", APPLY, server=True)
def check(workload, number):
    return workload.documents.create({"id": number, "title": "forbidden"}, partition=number % 2)


@kind("a domain's `CHECK`", APPLY, server=True)
def domain(workload, number):
    return rare(workload, number, "code", "lower case")


@kind("an error in a generated column (division by zero)", APPLY, server=True)
def generated(workload, number):
    return rare(workload, number, "small", 0)


@kind("an exclusion constraint", APPLY, server=True, weight=0.5)
def exclusion(workload, number):
    return rare(workload, number, "room", "[5,6)", schema=TEXT)


@kind("`NOT NULL`", APPLY, server=True)
def not_null(workload, number):
    return workload.events.create({"n": number, "text": None}, partition=number % 3)


@kind("a unique key", APPLY, server=True, weight=0.5)
def unique(workload, number):
    return workload.orders.create({"region": "poison", "number": number, "note": TAKEN["note"]},
                                  partition=number % 3)


@kind("a foreign key", APPLY, server=True, weight=0.5)
def foreign(workload, number):
    return workload.orders.create({"region": "nowhere", "number": number}, partition=number % 3)


@kind("a foreign key that the commit looks at", APPLY, server=True, weight=0.5)
def foreign_deferred(workload, number):
    return rare(workload, number, "parent", number)


@kind("an exception of a trigger (P0001)", APPLY, server=True)
def trigger(workload, number):
    return item(workload, number, name="refused")


@kind("an exception of a trigger at the commit (P0001)", APPLY, server=True)
def trigger_deferred(workload, number):
    return item(workload, number, name="refused late")


@kind("a trigger that recurses without end (54001)", APPLY, server=True, weight=0.5)
def recursion(workload, number):
    return item(workload, number, name="recurse")


@kind("a view's `CHECK OPTION` (44000)", APPLY, server=True)
def check_option(workload, number):
    return workload.small.create({"id": number, "amount": 10})


@kind("a row too large for an index (54000)", APPLY, server=True)
def index_row(workload, number):
    letters = random.Random(number).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP\u00e4", k=20_000)
    return workload.documents.create({"id": number, "title": "".join(letters)},
                                     partition=number % 2)
