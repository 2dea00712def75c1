"""The target follows the source's schema: what each level of evolve does to a table that the sink
made, that nobody loses a value over it, and that nothing else is touched."""

import threading

import pytest

from lib.records import BIGINT, DATETIME, DOUBLE, INT, TEXT, Table, pipeline

SMALLINT = {"type": "int16"}
FLOAT = {"type": "float"}
BOOLEAN = {"type": "boolean"}
BYTES = {"type": "bytes"}
DATE = {"type": "int32", "name": "io.debezium.time.Date", "version": 1}


def decimal(precision, scale):
    return {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
            "parameters": {"scale": str(scale), "connect.decimal.precision": str(precision)}}


def versions(*schemas, name="items", key=("id",)):
    """One table as it was and as it became: a Table each, one topic."""
    tables = [Table(columns={"id": INT, **schema}, key=key, name=name) for schema in schemas]
    for table in tables[1:]:
        table._offsets = tables[0]._offsets
    for number, table in enumerate(tables):
        table._clock_ms += number * 1_000_000
    return tables


def history(database):
    return database.execute("select table_schema, table_name, sql, topic, partition, record_offset "
                            "from ods_sink.schema_history order by id")


REJECTED = object()

# name: old schema and value, new schema and value, the type that evolve: widen makes of the column,
# and what both rows are then (REJECTED: the new one is a dead letter).
WIDENINGS = {
    "smallint to int": (SMALLINT, 7, INT, 70000, "integer", ["7", "70000"]),
    "int to bigint": (INT, 7, BIGINT, 2**40, "bigint", ["7", str(2**40)]),
    "bigint to int": (BIGINT, 2**40, INT, 7, "bigint", [str(2**40), "7"]),
    "bigint to numeric": (BIGINT, -2**63, decimal(20, 0), "AP//////////", "numeric(20,0)",
                          [str(-2**63), "18446744073709551615"]),
    "int to numeric with scale": (INT, 2147483647, decimal(5, 2), "MDk=", "numeric(12,2)",
                                  ["2147483647.00", "123.45"]),
    "larger numeric": (decimal(5, 2), "MDk=", decimal(10, 4), "EtaH", "numeric(10,4)",
                       ["123.4500", "123.4567"]),
    "other scale and fewer digits": (decimal(7, 2), "AMqz", decimal(7, 5), "EtaH", "numeric(10,5)",
                                     ["518.91000", "12.34567"]),
    "real to double": (FLOAT, 1.5, DOUBLE, 0.1, "double precision", ["1.5", "0.1"]),
    "int to double": (INT, 2147483647, DOUBLE, 0.5, "double precision", ["2147483647", "0.5"]),
    "bigint to double": (BIGINT, 9007199254740993, DOUBLE, 0.5, "numeric",
                         ["9007199254740993", "0.5"]),
    "double to bigint": (DOUBLE, 0.1, BIGINT, 9007199254740993, "numeric",
                         ["0.1", "9007199254740993"]),
    "boolean to smallint": (BOOLEAN, True, SMALLINT, 5, "smallint", ["1", "5"]),
    "int to text": (INT, 7, TEXT, "seven", "text", ["7", "seven"]),
    "double to text": (DOUBLE, 0.1, TEXT, "x", "text", ["0.1", "x"]),
    "timestamp to text": (DATETIME, 1529507596945, TEXT, "x", "text",
                          ["2018-06-20 15:13:16.945", "x"]),
    "text to int": (TEXT, "seven", INT, 7, "text", ["seven", "7"]),
    "date to timestamp": (DATE, 16576, DATETIME, 1529507596945, "timestamp(3) without time zone",
                          ["2015-05-21 00:00:00", "2018-06-20 15:13:16.945"]),
    "array of wider elements": ({"type": "array", "items": INT}, [1, 2],
                                {"type": "array", "items": BIGINT}, [2**40], "bigint[]",
                                ["{1,2}", "{" + str(2**40) + "}"]),
    "int to timestamp": (INT, 7, DATETIME, 1529507596945, "integer", ["7", REJECTED]),
    "timestamp to bigint": (DATETIME, 1529507596945, BIGINT, 7, "timestamp(3) without time zone",
                            ["2018-06-20 15:13:16.945", REJECTED]),
    "bytes to text": (BYTES, "AQID", TEXT, "x", "bytea", ["\\x010203", REJECTED]),
}


@pytest.mark.parametrize("name", WIDENINGS)
@pytest.mark.parametrize("cut", ["one batch", "two replays"])
def test_widening(sink, database, tmp_path, name, cut):
    old_schema, old_value, new_schema, new_value, kind, expected = WIDENINGS[name]
    old, new = versions({"v": old_schema}, {"v": new_schema})
    records = [old.create({"id": 1, "v": old_value}), new.create({"id": 2, "v": new_value}),
               old.create({"id": 3, "v": old_value}), new.create({"id": 4, "v": None})]
    sink.write(pipeline(old, defaults={"evolve": "widen"}), database=database)
    dead = tmp_path / "dead.jsonl"
    for part in ([records] if cut == "one batch" else [records[:1], records[1:]]):
        sink.replay(part, dead_letter=dead)
    assert database.columns("items")["v"] == kind
    found = dict(database.execute("select id, v::text from items"))
    rejected = expected[1] is REJECTED
    letters = dead.read_text().splitlines() if dead.exists() else []
    assert len(letters) == rejected, letters
    assert found == {1: expected[0], 3: expected[0], 4: None,
                     **({} if rejected else {2: expected[1]})}
    assert sink.replay(records)["applied"] == 0  # and there is an end to it


@pytest.mark.parametrize("evolve", ["none", "add"])
def test_below_widen_a_value_that_fits_goes_in(sink, database, tmp_path, evolve):
    old, new = versions({"v": INT}, {"v": BIGINT})
    sink.write(pipeline(old, defaults={"evolve": evolve}), database=database)
    dead = tmp_path / "dead.jsonl"
    sink.replay([old.create({"id": 1, "v": 1}), new.create({"id": 2, "v": 2}),
                 new.create({"id": 3, "v": 2**40})], dead_letter=dead)
    assert database.columns("items")["v"] == "integer"
    assert database.execute("select id, v from items order by 1") == [(1, 1), (2, 2)]
    assert "out of range" in dead.read_text()


def test_declared_varchar_grows(sink, database):
    """The length that source_types gives a column is raised with it."""
    table = Table(columns={"id": INT, "v": TEXT})
    rows = []
    for length, value in ((3, "abc"), (5, "abcde"), (2, "abcd")):
        sink.write(pipeline(table, defaults={"evolve": "widen"},
                            tables={"items": {"source_types": {"v": f"varchar({length})"}}}),
                   database=database)
        rows.append((len(rows) + 1, value))
        sink.replay([table.create({"id": len(rows), "v": value})])
        assert database.execute("select id, v from items order by 1") == rows
    assert database.columns("items")["v"] == "character varying(5)"


# --- what is added, relaxed, kept ------------------------------------------------------------


def test_new_columns_in_the_middle_of_a_batch(sink, database):
    old, new = versions({"v": INT}, {"v": INT, "a": TEXT, "b": DATETIME})
    sink.write(pipeline(old), database=database)
    records = [old.create({"id": 1, "v": 1}), new.create({"id": 2, "v": 2, "a": "x", "b": 0}),
               old.create({"id": 3, "v": 3})]
    summary = sink.replay(records)["pipelines"][0]
    assert (summary["tables_created"], summary["columns_added"]) == (1, 2)
    assert database.execute("select id, v, a, b::text from items order by 1") == \
        [(1, 1, None, None), (2, 2, "x", "1970-01-01 00:00:00"), (3, 3, None, None)]
    made, added = history(database)
    assert made[2].startswith('create table "public"."items" (')
    assert added == ("public", "items",
                     'alter table "public"."items" add column "a" text compression lz4, '
                     'add column "b" timestamp(3) without time zone', old.topic, 0, 1)


def test_statements_of_a_table_that_changed_are_forgotten(sink, database):
    """A trigger writes down how many prepared statements the writer's session has."""
    count = 30
    tables = versions(*({f"c{n}": INT for n in range(width + 1)} for width in range(count)))
    sink.write(pipeline(tables[0]), database=database, batch={"max_events": 1})
    sink.replay([tables[0].create({"id": 0, "c0": 0})])
    database.execute("alter table items add column known int")
    database.execute("create function look() returns trigger language plpgsql as $$ begin "
                     "new.known = (select count(*) from pg_prepared_statements); return new; end $$")
    database.execute("create trigger look before insert on items for each row "
                     "execute function look()")
    sink.replay([table.create({"id": n + 1, **{f"c{i}": i for i in range(n + 1)}})
                 for n, table in enumerate(tables)])
    assert database.count("items") == count + 1
    assert database.value("select max(known) from items") < 5


def test_each_change_is_logged_with_its_record(sink, database):
    old, new = versions({"v": INT}, {"v": BIGINT})
    sink.write(pipeline(old, defaults={"evolve": "widen"}), database=database)
    done = sink.run("replay", "-c", sink.conf, sink.file_of(
        [old.create({"id": 1, "v": 1}), new.create({"id": 2, "v": 2})]))
    assert 'alter table "public"."items" alter column "v" type bigint using "v"::bigint (topic ' \
        f"{old.topic} partition 0 offset 1)" in done.stderr


class Required(Table):
    """Columns that the source declares NOT NULL."""

    def _fields(self):
        return [{**field, "optional": False} for field in super()._fields()]


@pytest.mark.parametrize("evolve,relaxed", [("add", False), ("widen", True), ("full", True)])
def test_not_null_is_dropped(sink, database, tmp_path, evolve, relaxed):
    """When the source allows NULL, and when it stops sending the column."""
    strict = Required(columns={"id": INT, "v": INT, "w": INT})
    loose = Table(columns={"id": INT, "v": INT})
    loose._offsets = strict._offsets
    sink.write(pipeline(strict, defaults={"evolve": evolve}), database=database)
    dead = tmp_path / "dead.jsonl"
    sink.replay([strict.create({"id": 1, "v": 1, "w": 1})])
    summary = sink.replay([loose.create({"id": 2, "v": None})], dead_letter=dead)
    assert database.count("items") == (2 if relaxed else 1)
    assert summary["rejected"] == (0 if relaxed else 1)
    null = dict(database.execute("select attname::text, attnotnull from pg_attribute where "
                                 "attrelid = 'items'::regclass and attnum > 0"))
    assert (null["v"], null["w"], null["id"]) == (not relaxed, not relaxed, True)


def test_a_column_that_goes_stays(sink, database):
    """And a rename is a column that comes and one that goes."""
    old, new = versions({"name": TEXT}, {"title": TEXT})
    sink.write(pipeline(old, defaults={"evolve": "full"}), database=database)
    sink.replay([old.create({"id": 1, "name": "a"}), new.create({"id": 2, "title": "b"}),
                 new.update({"id": 1, "title": "a"}, {"id": 1, "title": "c"})])
    assert database.execute("select id, name, title from items order by 1") == \
        [(1, "a", "c"), (2, None, "b")]


def test_full_keeps_the_old_column(sink, database):
    old, new = versions({"v": BIGINT}, {"v": DATETIME})
    sink.write(pipeline(old, defaults={"evolve": "full"}), database=database)
    summary = sink.replay([
        old.create({"id": 1, "v": 7}), new.create({"id": 2, "v": 1529507596945}),
        old.create({"id": 3, "v": 9}),  # of another partition, say: still the old shape
        new.update({"id": 1, "v": 0}, {"id": 1, "v": 1000})])
    assert summary["rejected"] == 0
    assert database.execute("select id, v::text, v__v1 from items order by 1") == \
        [(1, "1970-01-01 00:00:01", 7), (2, "2018-06-20 15:13:16.945", None), (3, None, 9)]
    sqls = [row[2] for row in history(database)][1:]
    assert sqls == ['alter table "public"."items" rename column "v" to "v__v1"',
                    'alter table "public"."items" add column "v" timestamp(3) without time zone']
    assert summary["pipelines"][0]["columns_changed"] == 1


def test_full_goes_on_after_a_second_change(sink, database):
    first, second, third = versions({"v": BYTES}, {"v": DATETIME}, {"v": BOOLEAN})
    sink.write(pipeline(first, defaults={"evolve": "full"}), database=database)
    sink.replay([first.create({"id": 1, "v": "AQ=="}), second.create({"id": 2, "v": 0}),
                 third.create({"id": 3, "v": True}), first.create({"id": 4, "v": "Ag=="}),
                 second.create({"id": 5, "v": 1000}), third.create({"id": 6, "v": False})])
    assert {name: kind for name, kind in database.columns("items").items() if name[0] == "v"} == \
        {"v__v1": "bytea", "v__v2": "timestamp(3) without time zone", "v": "boolean"}
    assert database.count("items", "num_nonnulls(v, v__v1, v__v2) = 1") == 6


def test_full_does_not_take_a_key_apart(sink, database, tmp_path):
    old = Table(columns={"id": INT, "v": INT})
    new = Table(columns={"id": DATETIME, "v": INT})
    new._offsets = old._offsets
    sink.write(pipeline(old, defaults={"evolve": "full"}), database=database)
    dead = tmp_path / "dead.jsonl"
    sink.replay([old.create({"id": 1, "v": 1}), new.create({"id": 2, "v": 2})], dead_letter=dead)
    assert list(database.columns("items"))[:2] == ["id", "v"]
    assert "part of the key" in dead.read_text()
    assert database.count("items") == 1


def test_a_key_is_widened(sink, database):
    old = Table(columns={"id": INT, "v": INT})
    new = Table(columns={"id": BIGINT, "v": INT})
    new._offsets = old._offsets
    sink.write(pipeline(old, defaults={"evolve": "widen"}), database=database)
    sink.replay([old.create({"id": 1, "v": 1}), new.create({"id": 2**40, "v": 2}),
                 new.update({"id": 1, "v": 1}, {"id": 1, "v": 3}), old.delete({"id": 1, "v": 3})])
    assert database.execute("select id, v, cdc_operation from items order by 1") == \
        [(1, 3, "d"), (2**40, 2, "c")]


# --- what is left alone ----------------------------------------------------------------------


def test_tables_of_others_are_never_changed(sink, database, tmp_path):
    database.execute("create table items (id int primary key, v int not null, cdc_operation text, "
                     "cdc_timestamp timestamptz)")
    before = database.columns("items")
    table = Table(columns={"id": INT, "v": BIGINT, "extra": TEXT})
    sink.write(pipeline(table, defaults={"evolve": "full"}), database=database)
    sink.replay([table.create({"id": 1, "v": 1, "extra": "x"}),
                 table.create({"id": 2, "v": 2**40, "extra": "x"})],
                dead_letter=tmp_path / "dead.jsonl")
    assert database.columns("items") == before
    assert database.execute("select id, v from items") == [(1, 1)]
    assert history(database) == []


def test_a_type_that_somebody_changed_is_theirs(sink, database):
    """Text made uuid by hand stays uuid, though the source calls it text."""
    old, new = versions({"v": TEXT}, {"v": TEXT, "w": INT})
    sink.write(pipeline(old, defaults={"evolve": "full"}), database=database)
    uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    sink.replay([old.create({"id": 1, "v": uuid})])
    database.execute("alter table items alter column v type uuid using v::uuid")
    sink.replay([new.create({"id": 2, "v": uuid, "w": 1})])
    assert database.columns("items")["v"] == "uuid"
    assert database.execute("select id, v, w from items order by 1") == [(1, uuid, None),
                                                                         (2, uuid, 1)]


def test_a_view_on_the_column_holds_it(sink, database, tmp_path):
    old, new = versions({"v": INT}, {"v": BIGINT, "w": INT})
    sink.write(pipeline(old, defaults={"evolve": "widen"}), database=database)
    sink.replay([old.create({"id": 1, "v": 1})])
    database.execute("create view watched as select v from items")
    dead = tmp_path / "dead.jsonl"
    sink.replay([new.create({"id": 2, "v": 2, "w": 2}), new.create({"id": 3, "v": 2**40, "w": 3})],
                dead_letter=dead)
    assert database.execute("select id, v, w from items order by 1") == [(1, 1, None), (2, 2, 2)]
    assert len(dead.read_text().splitlines()) == 1
    database.execute("drop view watched")
    sink.replay([new.create({"id": 3, "v": 2**40, "w": 3})])
    assert database.count("items", "v > 2^31") == 1


def test_a_locked_table_is_waited_for(sink, database):
    """Under the target's lock_timeout, again and again, without a row lost."""
    old, new = versions({"v": INT}, {"v": BIGINT})
    target = {"name": "ods", "type": "postgres", "dsn": database.dsn, "lock_timeout_ms": 200}
    sink.write(pipeline(old, defaults={"evolve": "widen"}), targets=[target])
    sink.replay([old.create({"id": 1, "v": 1})])
    other = database.connect()
    other.autocommit = False
    other.cursor().execute("select * from items")
    threading.Timer(1.5, other.rollback).start()
    sink.replay([new.create({"id": 2, "v": 2**40})])
    other.close()
    assert database.columns("items")["v"] == "bigint"
    assert database.count("items") == 2


def test_two_processes_change_the_same_at_once(stack, database, tmp_path, binary):
    """Both succeed, and the change is made and listed once."""
    from lib.sink import Setup
    from lib.waiting import wait_for

    first, second, third = versions({"v": INT}, {"v": BIGINT, "a": TEXT}, {"v": DATETIME})
    sinks = []
    for number in range(2):
        sink = Setup(tmp_path / str(number), binary, stack)
        # Two groups, so that both apply all records: a group's offsets are its own.
        sink.write(pipeline(first, defaults={"evolve": "full"}, group_id=f"g{number}"),
                   database=database)
        sinks.append(sink)
    sinks[0].replay([first.create({"id": 1, "v": 1})])
    blocker = database.connect()
    blocker.autocommit = False
    blocker.cursor().execute("select pg_advisory_lock(7235498201)")
    records = [second.create({"id": 2, "v": 2**40, "a": "x"}),
               third.create({"id": 3, "v": 1000})]
    threads = [threading.Thread(target=sink.replay, args=(records,)) for sink in sinks]
    for thread in threads:
        thread.start()
    wait_for(lambda: database.value("select count(*) from pg_locks where locktype = 'advisory' "
                                    "and not granted and database = (select oid from pg_database "
                                    "where datname = current_database())") == 2)
    blocker.close()
    for thread in threads:
        thread.join()
    assert database.execute("select id, v::text, v__v1, a from items order by id") == \
        [(1, None, 1, None), (2, None, 2**40, "x"), (3, "1970-01-01 00:00:01", None, None)]
    assert len(history(database)) == 4  # created, widened and added, renamed, added


@pytest.mark.parametrize("statement,expected", [
    ("alter table items drop column v", [(1, None), (2, None), (3, 3)]),
    ("alter table items rename to gone", [(3, 3)]),
    ("drop table items", [(3, 3)]),
    ("alter table items alter column v type numeric", [(1, 1), (2, 2), (3, 3)]),
])
def test_a_change_by_somebody_else_is_noticed(sink, database, statement, expected):
    """While it runs: a trigger of another table does it between two batches."""
    table, other = versions({"v": INT}, {"v": INT})[0], Table(name="other", columns={"id": INT})
    sink.write({"name": "both", "topics": [table.topic, other.topic], "format": "debezium",
                "target": "ods"}, database=database, batch={"max_events": 1})
    sink.replay([table.create({"id": 1, "v": 1}), other.create({"id": 1})])
    database.execute("create function change() returns trigger language plpgsql as "
                     f"$$ begin {statement}; return null; end $$")
    database.execute("create trigger change after insert on other execute function change()")
    sink.replay([table.create({"id": 2, "v": 2}), other.create({"id": 2}),
                 table.create({"id": 3, "v": 3})])
    assert database.execute("select id, v from items order by id") == expected


# --- names -----------------------------------------------------------------------------------

NAMES = ["order", "Select", "user", "NICK_NAME$", "with space", 'a"b', "naïve ☃", "a.b",
         "'quoted'", "x" * 63, "é" * 40]


def test_columns_of_any_name(sink, database):
    table = Table(name='Orders "of" today', columns={"id": INT, **{name: TEXT for name in NAMES}})
    table.topic = "src.shop.orders"
    sink.write(pipeline(table), database=database)
    row = {"id": 1, **{name: name for name in NAMES}}
    sink.replay([table.create(row), table.update(row, {**row, "order": "2"})])
    columns = database.columns('"Orders ""of"" today"')
    long = next(name for name in columns if name.startswith("éé"))
    assert len(long.encode()) <= 63 and long[-9] == "_"
    assert list(columns)[:len(NAMES)] == ["id", *NAMES[:-1]]
    found = database.execute('select * from "Orders ""of"" today"')[0]
    assert found[:len(NAMES) + 1] == (1, "2", *NAMES[1:])


def test_folded(sink, database):
    table = Table(name="Orders", columns={"id": INT, "Total": INT, "NickName": TEXT, "Kept": INT})
    sink.write(pipeline(table, defaults={"fold": "lower"},
                        tables={"Orders": {"columns": {"rename": {"Kept": "As_Written"}}}}),
               database=database)
    sink.replay([table.create({"id": 1, "Total": 2, "NickName": "x", "Kept": 3})])
    assert list(database.columns("orders"))[:4] == ["id", "total", "nickname", "As_Written"]


@pytest.mark.parametrize("columns,fold", [
    (["Total", "total"], "lower"),
    (["cdc_operation"], "keep"),
    (["CDC_Operation"], "lower"),
])
def test_columns_that_would_meet_are_refused(sink, database, columns, fold):
    table = Table(columns={"id": INT, **{name: TEXT for name in columns}})
    sink.write(pipeline(table, defaults={"fold": fold}), database=database)
    done = sink.replay_fails([table.create({"id": 1, **{name: name for name in columns}})], 5)
    assert "would both be named" in done.stdout + done.stderr
    assert not database.exists("items")


def test_names_that_meet_when_shortened(sink, database):
    """The long name's short form is another column's own name."""
    long = "c" * 64
    table = Table(columns={"id": INT, long: TEXT})
    sink.write(pipeline(table), database=database)
    sink.replay([table.create({"id": 1, long: "a"})])
    short = next(name for name in database.columns("items") if name.startswith("c" * 20))
    assert len(short) <= 63 and short != long[:63]
    other = Table(name="other", columns={"id": INT, long: TEXT, short: TEXT})
    sink.write(pipeline(other), database=database)
    done = sink.replay_fails([other.create({"id": 1, long: "a", short: "b"})], 5)
    assert "would both be named" in done.stdout + done.stderr


def test_columns_that_would_meet_in_a_table_that_is_there(sink, database):
    database.execute("create table items (id int primary key, total text, cdc_operation text, "
                     "cdc_timestamp timestamptz)")
    table = Table(columns={"id": INT, "Total": TEXT, "total": TEXT})
    sink.write(pipeline(table, defaults={"fold": "lower"}), database=database)
    sink.replay_fails([table.create({"id": 1, "Total": "a", "total": "b"})], 5)
    assert database.count("items") == 0


def test_tables_that_would_meet_are_refused(sink, database):
    one, other = Table(name="Items"), Table(name="items")
    topics = {"name": "both", "topics": [one.topic, other.topic], "format": "debezium",
              "target": "ods", "defaults": {"fold": "lower"}}
    sink.write(topics, database=database)
    row = {"id": 1, "name": "a", "amount": 1}
    sink.replay([one.create(row)])
    letters = sink.folder / "letters.jsonl"
    sink.replay([other.create({**row, "id": 2})], dead_letter=letters)
    assert "shop.items of the source would go into public.items" in letters.read_text()
    assert database.count("items") == 1


def test_one_table_of_several_databases_where_it_is_named(sink, database):
    shards = [Table(database=f"shop{number}") for number in range(2)]
    topics = {"name": "both", "topics": [shard.topic for shard in shards], "format": "debezium",
              "target": "ods", "tables": {"items": {"target": "items"}}}
    sink.write(topics, database=database)
    sink.replay([shard.create({"id": number, "name": "a", "amount": 1})
                 for number, shard in enumerate(shards)])
    assert database.count("items") == 2


@pytest.mark.parametrize("settings,expected", [
    ({"target": "${db}_${table}"}, "public.shop_Items"),
    ({"target": "${db}_${table}", "fold": "lower"}, "public.shop_items"),
    ({"schema": "${db}"}, "shop.Items"),
    ({"schema": "${schema}"}, "shop.Items"),
    ({"schema": "${db}", "target": "raw_${table}", "fold": "lower"}, "shop.raw_items"),
    ({"target": "${topic}"}, "public.src.shop.Items"),
    ({"target": "${db}.T_${table}"}, "shop.T_Items"),
])
def test_names_from_places(sink, database, settings, expected):
    table = Table(name="Items")
    sink.write(pipeline(table, defaults=settings), database=database)
    sink.replay([table.create({"id": 1, "name": "a", "amount": 1})])
    assert [name for name in database.execute(
        "select schemaname || '.' || tablename from pg_tables where schemaname not in "
        "('pg_catalog', 'information_schema', 'ods_sink')")] == [(expected,)]


# --- default types that the source's own names give ------------------------------------------

PROPAGATED = {
    "inet": (TEXT, "INET", "10.0.0.1/8", "inet"),
    "cidr": (TEXT, "CIDR", "10.0.0.0/8", "cidr"),
    "macaddr": (TEXT, "MACADDR", "08:00:2b:01:02:03", "macaddr"),
    "int4range": (TEXT, "INT4RANGE", "[1,5)", "int4range"),
    "tstzrange": (TEXT, "TSTZRANGE", '["2019-03-31 15:30:00+00",infinity)', "tstzrange"),
    "citext": (TEXT, "CITEXT", "Abc", "citext"),
    "hstore as json": ({"type": "string", "name": "io.debezium.data.Json", "version": 1}, "HSTORE",
                       '{"a":"1"}', "hstore"),
    "ltree": ({"type": "string", "name": "io.debezium.data.Ltree", "version": 1}, None, "a.b",
              "ltree"),
    "bigint unsigned": (BIGINT, "BIGINT UNSIGNED", -1, "numeric(20,0)"),
    "varchar": (TEXT, "VARCHAR", "x", "text"),
    "nothing propagated": (TEXT, None, "10.0.0.1", "text"),
}
EXTENSIONS = ("citext", "hstore", "ltree")


@pytest.mark.parametrize("extensions", [True, False], ids=["extensions", "bare"])
def test_default_types_by_source_type(sink, database, extensions):
    columns, row, expected = {}, {}, {}
    for name, (schema, source_type, value, kind) in PROPAGATED.items():
        parameters = {"parameters": {"__debezium.source.column.type": source_type}} \
            if source_type else {}
        columns[name], row[name] = {**schema, **parameters}, value
        expected[name] = kind if extensions or kind not in EXTENSIONS else \
            "jsonb" if kind == "hstore" else "text"
    for extension in EXTENSIONS if extensions else ():
        database.execute(f"create extension {extension}")
    table = Table(columns={"id": INT, **columns})
    sink.write(pipeline(table), database=database)
    sink.replay([table.create({"id": 1, **row})])
    found = database.columns("items")
    assert {name: found[name] for name in expected} == expected
    assert database.value('select "bigint unsigned"::text from items') == str(2**64 - 1)


def test_schemaless_tables_made_by_declared_types(sink, database):
    table = Table(columns={"id": INT, "total": BIGINT, "price": TEXT, "seen": BIGINT,
                           "photo": TEXT, "tags": TEXT}, schemas=False)
    kinds = {"total": "bigint unsigned", "price": "decimal(10,2)", "seen": "timestamp ms",
             "photo": "bytes hex", "tags": "text[]"}
    sink.write(pipeline(table, tables={"items": {"source_types": kinds}}), database=database)
    sink.replay([table.create({"id": 1, "total": -1, "price": "AeIT", "seen": 1529507596945,
                               "photo": "0aff", "tags": ["a", None]}),
                 table.create({"id": 2, "total": None, "price": None, "seen": None,
                               "photo": None, "tags": None})])
    found = database.columns("items")
    assert [found[name] for name in kinds] == ["numeric(20,0)", "numeric(10,2)",
                                               "timestamp(3) without time zone", "bytea", "text[]"]
    assert database.execute("select total::text, price::text, seen::text, photo::text, tags::text "
                            "from items where id = 1") == \
        [(str(2**64 - 1), "1234.11", "2018-06-20 15:13:16.945", "\\x0aff", "{a,NULL}")]


# --- schemaless decimals ---------------------------------------------------------------------


@pytest.mark.parametrize("values,expected", [
    (["1.5", "1234"], ["1.50", "1234.00"]),  # digits elsewhere, so digits here
    (["AeIT", "1234"], ["1234.11", "-26588.24"]),  # base64 elsewhere, so base64 here
    (["1234", "AeIT"], [None, "1234.11"]),
    (["1.5", "AeIT", "1234"], ["1.50", "1234.11", None]),
    (["12345", "1234"], ["12345.00", "1234.00"]),
])
def test_digits_that_may_be_base64(sink, database, tmp_path, values, expected):
    """Told by what other values can only be, and refused where nothing tells."""
    database.execute("create table items (id int primary key, v numeric(12,2), cdc_operation text, "
                     "cdc_timestamp timestamptz)")
    table = Table(columns={"id": INT, "v": TEXT}, schemas=False)
    sink.write(pipeline(table), database=database, batch={"max_events": 1})
    dead = tmp_path / "dead.jsonl"
    sink.replay([table.create({"id": number, "v": value})
                 for number, value in enumerate(values)], dead_letter=dead)
    found = dict(database.execute("select id, v::text from items"))
    assert [found.get(number) for number in range(len(values))] == expected
    letters = dead.read_text().splitlines() if dead.exists() else []
    assert all("source.decimals" in letter for letter in letters)
    assert len(letters) == expected.count(None)


def test_stripped_nul_is_counted(sink, database):
    table = Table(columns={"id": INT, "v": TEXT})
    sink.write(pipeline(table, defaults={"nul": "strip"}), database=database)
    summary = sink.replay([table.create({"id": 1, "v": "a\0b"}), table.create({"id": 2, "v": "x"}),
                           table.create({"id": 3, "v": "\0"})])
    assert database.execute("select id, v from items order by 1") == [(1, "ab"), (2, "x"), (3, "")]
    assert summary["pipelines"][0]["nul_stripped"] == 2


def test_rounded_values_are_counted(sink, database, tmp_path):
    """But never in a key, where two rows would become one."""
    database.execute("create table items (id numeric(5,1) primary key, amount numeric(5,2), "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    table = Table(columns={"id": DOUBLE, "amount": DOUBLE})
    sink.write(pipeline(table, defaults={"inexact": "round"}), database=database)
    summary = sink.replay([table.create({"id": 1.5, "amount": 1.005}),
                           table.create({"id": 2.5, "amount": 1.25}),
                           table.create({"id": 2.55, "amount": 1})],
                          dead_letter=tmp_path / "dead")["pipelines"][0]
    assert summary["values_rounded"] == 1
    assert summary["rejected"]["apply"] == 1
    assert [(str(key), str(amount)) for key, amount in
            database.execute("select id, amount from items order by id")] == \
        [("1.5", "1.01"), ("2.5", "1.25")]


@pytest.mark.parametrize("way", ["copy", "update that misses", "beside a row that waits"])
def test_rounded_values_are_counted_once(sink, database, tmp_path, way):
    """Whichever way they are written."""
    database.execute("create table items (id int primary key, amount numeric(5,2), "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    database.execute("create table parents (id int primary key)")
    database.execute("create table children (id int primary key references parents, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    table = Table(columns={"id": INT, "amount": DOUBLE})
    child = Table(columns={"id": INT}, name="children")
    def make(row):
        return table.update(row, row) if way == "update that misses" else table.create(row)

    count = 300 if way == "copy" else 3
    records = [make({"id": number, "amount": 1.005}) for number in range(count)]
    records += [child.create({"id": 7})] * (way == "beside a row that waits")
    sink.write({"name": "both", "topics": [table.topic, child.topic], "format": "debezium",
                "target": "ods", "defaults": {"inexact": "round"}}, database=database,
               retry={"constraint_attempts": 2})
    summary = sink.replay(records, dead_letter=tmp_path / "dead")["pipelines"][0]
    assert database.count("items") == summary["values_rounded"] == count


# --- defaults -------------------------------------------------------------------------------------

TIMESTAMP_US = {"type": "int64", "name": "io.debezium.time.MicroTimestamp", "version": 1}
ZONED = {"type": "string", "name": "io.debezium.time.ZonedTimestamp", "version": 1}
TIME_US = {"type": "int64", "name": "io.debezium.time.MicroTime", "version": 1}
ENUM = {"type": "string", "name": "io.debezium.data.Enum", "parameters": {"allowed": "a,b"}}
JSON = {"type": "string", "name": "io.debezium.data.Json", "version": 1}
UUID = {"type": "string", "name": "io.debezium.data.Uuid", "version": 1}
BITS = {"type": "bytes", "name": "io.debezium.data.Bits", "parameters": {"length": "4"}}

# name: the schema, its default as the record has it, and what a row of the target's own gets of it.
DEFAULT_VALUES = {
    "string": (TEXT, "it's \\ \"ü😀\"", "it's \\ \"ü😀\""),
    "empty string": (TEXT, "", ""),
    "string that reads like null": (TEXT, "NULL", "NULL"),
    "boolean": (BOOLEAN, False, "false"),
    "smallint": (SMALLINT, 1, "1"),
    "bigint": (BIGINT, -2**63, str(-2**63)),
    "double": (DOUBLE, 0.1, "0.1"),
    "nan": (FLOAT, "NaN", "NaN"),
    "decimal": (decimal(10, 2), "MDk=", "123.45"),
    "decimal as a number": (decimal(38, 9), "RAW:12345678901234567890.123456789",
                            "12345678901234567890.123456789"),
    "bytes": (BYTES, "AP8nXA==", "\\x00ff275c"),
    "date": (DATE, 16576, "2015-05-21"),
    "time": (TIME_US, 49890000000, "13:51:30"),
    "timestamp": (DATETIME, 1529507596945, "2018-06-20 15:13:16.945"),
    "timestamp of microseconds": (TIMESTAMP_US, -1, "1969-12-31 23:59:59.999999"),
    "zoned timestamp": (ZONED, "2016-11-04T11:51:30.123456Z", "2016-11-04 11:51:30.123456+00"),
    "enum": (ENUM, "b", "b"),
    "json": (JSON, '{"a": [1, "x"]}', '{"a": [1, "x"]}'),
    "uuid": (UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "bits": (BITS, "Cg==", "1010"),
    "array": ({"type": "array", "items": TEXT}, ["a,b", None, "\"q\""], '{"a,b",NULL,"\\"q\\""}'),
    "null": (TEXT, None, None),
    # What stands for an expression of the source, or is none that the column takes.
    "current_timestamp of MySQL": (DATETIME, 0, None),
    "now() of PostgreSQL": (ZONED, "1970-01-01T00:00:00.000000Z", None),
    "text with NUL": (TEXT, "a\0b", None),
    "jsonb with NUL": (JSON, '{"a":"\\u0000"}', None),
    "not a uuid": (UUID, "x", None),
    "not base64": (BYTES, "!", None),
}


def with_default(schema, value):
    return {**schema, "default": value}


@pytest.mark.parametrize("way", ["table", "column"])
def test_defaults_of_the_schema(sink, database, way):
    """They are those of the columns that are made; the sink's own rows have what the record has."""
    first, table = versions({"other": INT}, {
        "other": INT, **{name: with_default(schema, value)
                         for name, (schema, value, _) in DEFAULT_VALUES.items()}})
    sink.write(pipeline(table), database=database)
    row = {"id": 1, **{name: None for name in table.columns if name != "id"}}
    records = [first.create({"id": 0, "other": 7})] if way == "column" else []
    records.append(table.create(row))
    for record in records:
        record["payload"] = record["payload"].replace('"RAW:12345678901234567890.123456789"',
                                                      "12345678901234567890.123456789")
    sink.replay(records)
    names = ", ".join(f'"{name}"::text' for name in DEFAULT_VALUES)
    assert database.execute(f"select {names} from items where id = 1") == [
        (None,) * len(DEFAULT_VALUES)]
    database.execute("insert into items (id) values (2)")
    expected = [tuple(value for _, _, value in DEFAULT_VALUES.values())]
    assert database.execute(f"select {names} from items where id = 2") == expected
    if way == "column":  # as at the source, the rows that were there have it too
        assert database.execute(f"select {names} from items where id = 0") == expected


def test_required_column_with_default_in_a_table_with_rows(sink, database):
    """NOT NULL as at the source; rows of the older shape that come later get the default."""
    old, new = versions({"v": INT}, {"v": INT, "n": with_default(INT, 5), "m": INT})
    new._fields = lambda: [{**schema, "optional": name not in ("id", "n", "m"), "field": name}
                           for name, schema in new.columns.items()]
    sink.write(pipeline(old), database=database)
    sink.replay([old.create({"id": 1, "v": 1}), new.create({"id": 2, "v": 2, "n": 6, "m": 7}),
                 old.create({"id": 3, "v": 3})])
    assert database.execute("select id, n, m from items order by 1") == [
        (1, 5, None), (2, 6, 7), (3, 5, None)]
    assert database.value("select string_agg(attname, ' ') from pg_attribute where attnotnull "
                          "and attrelid = 'items'::regclass and attnum > 0") == "id n"


def test_a_default_goes_along_when_the_type_is_widened(sink, database):
    old, new = versions({"v": with_default(BOOLEAN, True), "w": with_default(INT, 3)},
                        {"v": SMALLINT, "w": decimal(20, 2)})
    sink.write(pipeline(old, defaults={"evolve": "widen"}), database=database)
    sink.replay([old.create({"id": 1, "v": None, "w": 1}),
                 new.create({"id": 2, "v": 5, "w": "MDk="})])
    database.execute("insert into items (id) values (3)")
    assert database.execute("select id, v, w::text from items order by 1") == [
        (1, None, "1.00"), (2, 5, "123.45"), (3, 1, "3.00")]


def test_a_column_that_steps_aside_leaves_its_default(sink, database):
    """The new one has none, as it would stand in rows of the older shape."""
    old, new = versions({"v": with_default(BYTES, "AQID")}, {"v": with_default(INT, 9)})
    sink.write(pipeline(old, defaults={"evolve": "full"}), database=database)
    sink.replay([old.create({"id": 1, "v": "AQ=="}), new.create({"id": 2, "v": 5})])
    database.execute("insert into items (id) values (3)")
    assert database.execute("select id, v__v1::text, v from items order by 1") == [
        (1, "\\x01", None), (2, None, 5), (3, None, None)]
