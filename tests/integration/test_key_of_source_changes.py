"""A source whose primary key changes: its records are dead letters that say what to run in the target,
other tables go on, and so does it when that was done, without a restart. With evolve: full the sink
does it by itself where the rows allow."""

from pathlib import Path

import pytest
from lib.records import INT, SHAPES, TEXT, Table, pipeline
from lib.sink import read_lines

REPORTED = Path(__file__).parent / "reported"
COLUMNS = {"id": INT, "region": TEXT, "v": TEXT}
TOPICS = r"^src\..*"
# What the key was, what it becomes, and the statement that the message names.
CHANGES = {
    "fewer": (("id", "region"), ("id",), 'drop constraint t_pkey, add primary key ("id")'),
    "more": (("id",), ("id", "region"), 'drop constraint t_pkey, add primary key ("id", "region")'),
    "others": (("id",), ("region",), 'drop constraint t_pkey, add primary key ("region")'),
    "none": (("id",), (), "drop constraint t_pkey"),
    "first": ((), ("id",), 'alter table "public"."t" add primary key ("id")'),
}


def replay(sink, records):
    path = sink.folder / "letters.jsonl"
    path.unlink(missing_ok=True)
    done = sink.run("replay", "-c", sink.conf, "--dead-letter", path, sink.file_of(records))
    letters = read_lines(path) if path.exists() else []
    return done, [letter["headers"][letter["headers"].index("ods.error") + 1] for letter in letters]


def source_of(shape="envelope", key=("id",), **options):
    return Table("t", COLUMNS, key=key, shape=shape, **options)


def rekey(table, key, columns=None):
    table.key = key
    table.columns = dict(columns or table.columns)  # other texts from here on
    return table


def row(number, region="eu", v="a"):
    return {"id": number, "region": region, "v": v}


def rows(database):
    return database.execute("select id, region, v from t where cdc_operation is distinct from 'd' "
                            "order by id, region")


def key_of(database):
    return database.value("select pg_get_constraintdef(oid) from pg_constraint "
                          "where conrelid = 't'::regclass and contype = 'p'")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("change", CHANGES)
def test_the_message_and_its_statement(sink, database, change, shape):
    old, new, statement = CHANGES[change]
    table, other = source_of(shape, old), Table("other", shape=shape)
    sink.write(pipeline(TOPICS, defaults={"evolve": "widen"}), database=database)
    replay(sink, [table.create(row(1)), table.create(row(2, "us"))])
    rekey(table, new)
    records = [table.create(row(3, "de")), other.create({"id": 1, "name": "n", "amount": 1}),
               table.update(row(1), row(1, v="b")), table.create(row(4, "fr"))]
    done, reasons = replay(sink, records)
    assert len(reasons) == 3 and len(set(reasons)) == 1
    assert statement in reasons[0] and "dlq replay" in reasons[0] and "public.t" in reasons[0]
    for key in old, new:
        assert (f"({', '.join(key)})" if key else "none") in reasons[0]
    assert (done.stdout + done.stderr).count("its key at the source is") == 1
    assert rows(database) == [(1, "eu", "a"), (2, "us", "a")] and database.count("other") == 1
    # What the message says, and the letters' records again.
    at = reasons[0].index('alter table "public"."t"')
    database.execute(reasons[0][at:reasons[0].index(". ", at)])
    done, reasons = replay(sink, [{**record, "offset": record["offset"] + 10} for record in records])
    lost = change == "none" and shape.startswith("flat")  # no key, and no before image
    assert len(reasons) == lost
    assert rows(database) == [(1, "eu", "a" if lost else "b"), (2, "us", "a"), (3, "de", "a"),
                              (4, "fr", "a")]


def test_to_keep_the_targets_key(sink, database):
    """As the message also says: it holds for both shapes."""
    table = source_of(key=("id", "region"))
    sink.write(pipeline(TOPICS), database=database)
    replay(sink, [table.create(row(1))])
    rekey(table, ("id",))
    _, reasons = replay(sink, [table.create(row(2))])
    assert "key: [id, region]" in reasons[0]
    sink.write(pipeline(TOPICS, tables={"t": {"key": ["id", "region"]}}), database=database)
    _, reasons = replay(sink, [table.create(row(2)), table.create(row(2, "us"))])
    assert not reasons and len(rows(database)) == 3


def test_reported(sink, database):
    sink.write(pipeline(r"^c16b", defaults={"schema": "public", "on_delete": "hard",
                                            "evolve": "widen"}), database=database)
    done, reasons = replay(sink, REPORTED / "c16b.jsonl")
    assert len(reasons) == 1
    assert 'alter table "public"."t" drop constraint t_pkey, add primary key ("id")' in reasons[0]
    assert database.count("t") == 1 == database.count("t2")


def test_a_new_column_in_the_key(sink, database):
    """Below full the column is added, and the key left to its owner; a table made by hand says both."""
    table = source_of()
    sink.write(pipeline(TOPICS), database=database)
    replay(sink, [table.create(row(1))])
    rekey(table, ("tenant", "id"), {**COLUMNS, "tenant": INT})
    _, reasons = replay(sink, [table.create({**row(2), "tenant": 1})])
    assert len(reasons) == 1 and 'add primary key ("tenant", "id")' in reasons[0]
    assert "tenant" in database.columns("t")
    database.execute("drop table t; create table t (id int primary key, region text, v text, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    _, reasons = replay(sink, [table.create({**row(2), "tenant": 1})])
    assert len(reasons) == 1 and 'add column "tenant"' in reasons[0]


def test_keys_made_by_hand(sink, database):
    """A unique index serves; a surrogate key of a table whose source has none is nobody's business."""
    database.execute("""
        create table t (id int, region text, v text, cdc_operation text, cdc_timestamp timestamptz);
        create unique index t_unique on t (region);
        create table other (n int generated always as identity primary key, id int, name text,
            amount int, cdc_operation text, cdc_timestamp timestamptz)""")
    table, other = source_of(), Table("other", key=())
    sink.write(pipeline(TOPICS), database=database)
    item = {"id": 1, "name": "n", "amount": 1}
    _, reasons = replay(sink, [table.create(row(1)), other.create(item),
                               other.update(item, {**item, "name": "m"})])
    assert len(reasons) == 1
    assert 'drop index public.t_unique; alter table "public"."t" add primary key ("id")' in reasons[0]
    assert database.execute("select id, name from other") == [(1, "m")]


@pytest.mark.parametrize("change", [name for name in CHANGES if name != "none"])
@pytest.mark.parametrize("shape", ["envelope", "flat"])
def test_evolve_full_does_it(sink, database, change, shape):
    """Records of both keys in one batch, and deletes before and after."""
    old, new, _ = CHANGES[change]
    table, other = source_of(shape, old), Table("other", shape=shape)
    sink.write(pipeline(TOPICS, defaults={"evolve": "full", "on_delete": "hard"}), database=database)
    keyless = not old and shape == "flat"  # which has no before image to find a row by
    records = [table.create(row(1)), table.create(row(2, "us")), table.create(row(3, "de"))]
    if not keyless:
        records += [table.update(row(2, "us"), row(2, "us", "b")), table.delete(row(3, "de"))]
    records += [other.create({"id": 1, "name": "n", "amount": 1})]
    rekey(table, new)
    records += [table.update(row(1), row(1, v="c")), table.create(row(4, "fr")),
                table.create(row(5, "it")), table.delete(row(5, "it")),
                other.create({"id": 2, "name": "n", "amount": 1})]
    _, reasons = replay(sink, records)
    assert not reasons
    assert key_of(database) == f"PRIMARY KEY ({', '.join(new)})"
    expected = [(1, "eu", "c"), (2, "us", "a" if keyless else "b"), (4, "fr", "a")]
    assert rows(database) == (expected if not keyless else sorted([*expected, (3, "de", "a")]))
    assert database.count("other") == 2
    history = [sql for sql, in database.execute("select sql from ods_sink.schema_history order by id")]
    assert any("add primary key" in sql for sql in history)
    # A late record of the old key, of another partition, undoes nothing.
    rekey(table, old)
    _, reasons = replay(sink, [table.update(row(2, "us"), row(2, "us", "late"), partition=1)])
    assert len(reasons) == 1 or not old
    assert key_of(database) == f"PRIMARY KEY ({', '.join(new)})"


@pytest.mark.parametrize("shape", SHAPES)
def test_evolve_full_begins_with_a_delete(sink, database, shape):
    """And its tombstone."""
    table = source_of(shape, ("id", "region"))
    sink.write(pipeline(TOPICS, defaults={"evolve": "full", "on_delete": "hard"}), database=database)
    records = [table.create(row(1)), table.create(row(2))]
    rekey(table, ("id",))
    records += [table.delete(row(1)), table.tombstone(row(1)), table.update(row(2), row(2, v="b"))]
    _, reasons = replay(sink, records)
    assert not reasons and rows(database) == [(2, "eu", "b")]
    assert key_of(database) == "PRIMARY KEY (id)"


def test_evolve_full_when_rows_collide(sink, database):
    table, other = source_of(key=("id", "region")), Table("other")
    sink.write(pipeline(TOPICS, defaults={"evolve": "full"}), database=database)
    replay(sink, [table.create(row(1)), table.create(row(1, "us")), table.create(row(7))])
    rekey(table, ("id",))
    _, reasons = replay(sink, [table.create(row(2)), other.create({"id": 1, "name": "n", "amount": 1}),
                               table.update(row(7), row(7, v="b"))])
    assert len(reasons) == 2 and "rows that would share a key: (1) 2 times" in reasons[0]
    assert key_of(database) == "PRIMARY KEY (id, region)" and database.count("other") == 1
    database.execute("delete from t where region = 'us'")
    _, reasons = replay(sink, [table.create(row(3))])
    assert not reasons and key_of(database) == "PRIMARY KEY (id)"


def test_evolve_full_when_something_holds_the_key(sink, database):
    """A foreign key refers to it; or the new key's column has no value in the rows that are there."""
    table = source_of()
    sink.write(pipeline(TOPICS, defaults={"evolve": "full"}), database=database)
    replay(sink, [table.create(row(1))])
    database.execute("create table line (t int references t)")
    rekey(table, ("id", "region"))
    _, reasons = replay(sink, [table.create(row(2))])
    assert len(reasons) == 1 and "line_t_fkey" in reasons[0]
    database.execute("drop table line")
    rekey(table, ("id", "tenant"), {**COLUMNS, "tenant": INT})
    _, reasons = replay(sink, [table.create({**row(2), "tenant": 1})])
    assert len(reasons) == 1 and "null values" in reasons[0]
    database.execute("update t set tenant = 0")
    _, reasons = replay(sink, [table.create({**row(2), "tenant": 1})])
    assert not reasons and len(rows(database)) == 2


def test_a_key_in_another_order(sink, database):
    """Is the same key, also of two changes in one batch."""
    table = source_of(key=("id", "region"))
    sink.write(pipeline(TOPICS), database=database)
    first = table.create(row(1))
    rekey(table, ("region", "id"))
    _, reasons = replay(sink, [first, table.update(row(1), row(1, v="b")), table.delete(row(1))])
    assert not reasons and rows(database) == []
    assert database.value("select v from t") == "b"


def test_the_stream_goes_on_without_a_restart(sink, database, kafka):
    """Once the statement was run; and said once until then."""
    prefix = f"keys{sink.folder.name}"
    table, other = source_of(prefix=prefix), Table("other", prefix=prefix)
    letters = f"{prefix}.letters"
    for topic in table.topic, other.topic, letters:
        kafka.create(topic, partitions=1)
    sink.write(pipeline(rf"^{prefix}\.shop\..*"), database=database, kafka=True,
               dead_letter={"topic": letters})
    kafka.produce([table.create(row(1)), other.create({"id": 1, "name": "n", "amount": 1})])
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: database.count("t") == 1 == database.count("other"))
    rekey(table, ("id", "region"))
    for number in (2, 3):
        kafka.produce([table.create(row(number))])
        daemon.await_that(lambda: kafka.count(letters) == number - 1)
    kafka.produce([other.create({"id": 2, "name": "n", "amount": 1})])
    daemon.await_that(lambda: database.count("other") == 2)
    database.execute('alter table t drop constraint t_pkey, add primary key ("id", "region")')
    numbers = iter(range(4, 1000))

    def is_used():
        kafka.produce([table.create(row(next(numbers)))])
        return database.count("t") > 1

    daemon.await_that(is_used, what="the new key is used")
    daemon.stop()
    assert daemon.log().count("items: table t: its key") <= 1 <= daemon.log().count("add primary key")


@pytest.mark.parametrize("old, new", [(("id",), ("region",)), ((), ("id",))], ids=["both", "first"])
def test_two_keys_in_one_batch(sink, database, old, new):
    """Each serves the target: rows are named by the one and then by the other, in the source's order."""
    database.execute("create table t (id int primary key, region text not null unique, v text, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    table = source_of(key=old)
    sink.write(pipeline(TOPICS, defaults={"on_delete": "hard"}), database=database)
    numbers = range(100)
    def change(way, before, after):
        return [getattr(table, way)(*(row(n, f"r{n}", v) for v in (before, after) if v))
                for n in numbers]
    records = change("create", None, "a") + change("update", "a", "b")
    rekey(table, new)
    records += change("update", "b", "c")
    rekey(table, old)
    records += change("update", "c", "d") + change("delete", "d", None)[50:]
    rekey(table, new)
    records += change("update", "d", "e")[:50]
    done, reasons = replay(sink, records)
    assert not reasons and '"rejected": 0' in done.stdout
    assert database.execute("select id, v from t order by id") == [(n, "e") for n in range(50)]
    assert list(database.offsets().values()) == [records[-1]["offset"] + 1]
