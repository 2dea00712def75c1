"""Tables of Iceberg, read back by DuckDB and PyIceberg: after a random load, kills, lost answers,
compaction, changes of columns and rows of others."""

import json
import os
import random
import signal
import sqlite3
import threading
import time
from contextlib import closing

import pytest
from lib.lake import WHY_NOT, Missing, engine, keep
from lib.records import BIGINT, INT, TEXT, Table, pipeline
from lib.rotation import Recorded
from lib.sink import Exit, Setup, free_port, read_lines
from lib.waiting import wait_for

from test_delta_target import (HARD, KILLS, KILLS_S, PARTED, TYPES, decimal, names_by_template, number_of_kills,
                               parted_table, random_changes, row, sorted_files, test_a_table_without_rows_has_its_turn, two_tables, unscaled)
from test_delta_target import Lake as DeltaLake


@pytest.fixture
def lake(request, sink, tmp_path):
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    return Lake(sink, tmp_path / "lake", request.getfixturevalue("lake_reader"))


class Lake(DeltaLake):
    kind, readers = "iceberg", ("pyiceberg", "duckdb_iceberg")

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.metadata = None  # of a table: where its metadata are, if not in the folder's own catalog

    def ask(self, word, table="items", **options):
        where = {"metadata": self.metadata(table)} if self.metadata else {}
        return super().ask(word, table, **where, **options)

    def described(self, table="items"):
        return self.ask("iceberg_described", table)

    def commits(self, table="items"):
        """Names of commits, none of which is there twice."""
        names = [s["ods.commit"] for s in self.described(table)["snapshots"] if "ods.commit" in s]
        assert len(names) == len(set(names))
        return names


# ---- settings ------------------------------------------------------------------------------------

@pytest.mark.parametrize("settings, says", [
    ({"location": "lake"}, "whole path"), ({"location": "s3://b/x"}, "catalog.uri"),
    ({"location": "/x", "catalog": {"uri": "mysql://x/y"}}, "catalog.uri"),
    ({"location": "/x", "partition_by": {"items": "region, week(created)"}}, "write columns"),
    ({"location": "/x", "partition_by": {"items": "bucket(0, id)"}}, "write columns"),
    ({"location": "/x", "partition_by": {"items": "bucket(16, id"}}, "write columns"),
    ({"location": "/x", "partition_by": {"items": "region, days( at ),\tbucket (16, id), ", "others": ""},
      "catalog": {"uri": "mysql://x/y"}}, "catalog.uri")])
def test_settings(sink, settings, says):
    sink.write(pipeline(Table()), targets=[{"name": "ods", "type": "iceberg", **settings}])
    done = sink.check(expect=Exit.CONFIG)
    assert says in done.stdout + done.stderr


def test_looking_makes_nothing_and_tells_no_secret(lake):
    lake.write([Table()], HARD)
    lake.sink.run("check", "-c", lake.sink.conf)
    assert not lake.folder.exists()
    lake.write([Table()], HARD, target={"catalog": {"uri": "postgresql://u:abracadabra@h/d"}})
    assert "abracadabra" not in lake.sink.check().stdout


# ---- two processes -------------------------------------------------------------------------------

def test_of_two_daemons_that_write_a_table_one_maintains_it(lake, kafka, prefix, tmp_path):
    """The one that has its lease, until it stops: then the other, which gets no partition with that, so nothing
    but its own look tells it."""
    table, other = Table(prefix=prefix), Setup(tmp_path / "other", lake.sink.binary, lake.sink.stack)
    for setup, member in ((lake.sink, "first"), (other, "second")):
        setup.write(pipeline(table, defaults=HARD), kafka=True, lanes=1,
                    targets=[lake.target(maintenance={"small_files": 4})],
                    kafka_properties={"group.instance.id": member, "session.timeout.ms": "60000"})
    other.conf.write_text(other.conf.read_text().replace(other.group, lake.sink.group))
    kafka.create(table.topic, 2)

    def partitions(daemon):
        lanes = json.loads(daemon.get("/status")[1] or '{"lanes": []}')["lanes"]
        return {part["partition"]: part["applied"] or 0 for lane in lanes for part in lane["partitions"]}

    def write(part, rows, daemon):
        """Each row is a commit of its own."""
        for number in rows:
            kafka.produce([table.create(row(number), partition=part)])
            written[part] += 1
            wait_for(lambda: partitions(daemon)[part] == written[part], 60, "a commit of its own")

    written = {0: 0, 1: 0}
    first = lake.sink.daemon()
    wait_for(lambda: len(partitions(first)) == 2, 60, "the first has both partitions")
    write(0, range(8), first)
    wait_for(lambda: "compacted" in first.log(), 30, "files were put together")
    second = other.daemon()
    wait_for(lambda: [len(partitions(daemon)) for daemon in (first, second)] == [1, 1], 60, "each has a partition")
    (part,) = partitions(second)
    write(part, range(8, 14), second)
    assert "compacted" not in second.log()
    first.stop()
    write(part, range(14, 22), second)
    wait_for(lambda: "compacted" in second.log(), 30, "the other does it now")
    second.stop()
    assert len(lake.rows("id", table.name)) == 22


# ---- rows ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("parts", ["", "part, bucket(3, id)"])
def test_random_load(lake, parts):
    """Rows as the source has them, by both readers: over updates without all values, deletes, keys of three
    columns with NULL and binary values, and many batches, with compaction between."""
    table = parted_table()
    lake.write([table], HARD, batch={"max_events": 40}, target={
        "partition_by": {"items": parts} if parts else {}, "maintenance": {"small_files": 12, "checkpoint_every": 9}})
    records, state = random_changes(table)
    for start in range(0, 600, 200):
        lake.replay(records[start:start + 200])
    lake.replay(records[400:])  # which are there
    assert lake.seen(", ".join(PARTED)) == sorted(state.values(), key=str)
    described = lake.described()
    assert described["partitions"] == (["identity", "bucket[3]"] if parts else [])
    assert "replace" in {s["operation"] for s in described["snapshots"]}, "it was compacted"


@pytest.mark.parametrize("parts", ["number, bucket(4, number)", "bucket(3, code), truncate(1, code)", "price"])
def test_parted_by_decimals_and_binaries(lake, parts):
    """bigint unsigned is a decimal of the format. Readers find a row by the values of its partition."""
    table = Table(columns={"id": INT, "number": decimal(20), "code": {"type": "bytes"}, "price": decimal(6, 2)})
    lake.write([table], HARD, batch={"max_events": 3}, target={
        "partition_by": {"items": parts}, "maintenance": {"small_files": 4, "checkpoint_every": 9}})
    numbers = [0, 1, 255, 2**63, 2**64 - 1, None]
    rows = [{"id": i, "number": unscaled(number), "code": None if number is None else unscaled(number),
             "price": None if i == 5 else unscaled(1420 - 1000 * i)} for i, number in enumerate(numbers)]
    lake.replay([table.create(row) for row in rows])
    lake.replay([table.update(rows[3], {**rows[3], "number": rows[1]["number"]}), table.delete(rows[0])])
    assert {row["id"]: row["number"] for row in lake.seen("id, number")} == {
        1: "1", 2: "255", 3: "1", 4: str(2**64 - 1), 5: None}
    assert {row["id"]: row["price"] for row in lake.seen("id, price")} == {
        1: "4.20", 2: "-5.80", 3: "-15.80", 4: "-25.80", 5: None}
    found = lake.ask("pyiceberg", columns="id", where=f"number = {2**64 - 1}")
    assert [row["id"] for row in found] == [4]
    assert [row["id"] for row in lake.ask("pyiceberg", columns="id", where="price = -15.80")] == [3]


def test_sorted_files(lake):
    sorted_files(lake)


def test_names_by_template(lake):
    names_by_template(lake)


def test_snapshots(lake):
    """A snapshot's rows are one append; older snapshots are read as they were; offsets stand beside the rows."""
    table = Table()
    lake.write([table], HARD, target={"maintenance": {"enabled": False}})
    lake.replay([table.create(row(1)), table.create(row(2))])
    lake.replay([table.update(row(1), row(1, 5)), table.delete(row(2)), table.create(row(3))])
    described = lake.described()
    assert [s["operation"] for s in described["snapshots"]] == ["append", "overwrite"]
    offset = f"ods:test.items:{table.topic}:0"
    assert json.loads(described["properties"]["ods.offsets"])[offset] == 5
    first = json.loads(described["snapshots"][0]["ods.offsets"])
    assert first.pop(f"{offset}@us") > 0 and first == {offset: 2}, "and when it was stored"
    assert lake.rows("id, amount") == {1: {"id": 1, "amount": 5}, 3: {"id": 3, "amount": 0}}
    assert len(lake.ask("pyiceberg", columns="id, amount", version=1)) == 2
    assert {reader["total-equality-deletes"] for reader in described["snapshots"]} == {"0"}


def test_soft_deletes(lake):
    table = Table()
    lake.write([table])
    lake.replay([table.create(row(1)), table.create(row(2)), table.create(row(3, 7)), table.delete(row(3, 7))])
    lake.replay([table.delete(row(1)), table.delete(row(8)), table.update(row(2), row(2, 9))])
    rows = lake.rows("id, name, amount, cdc_operation")
    assert {number: (found["amount"], found["cdc_operation"]) for number, found in rows.items()} == {
        1: (0, "d"), 2: (9, "u"), 3: (7, "d")}


def test_history(lake):
    """Every change is a row, and every commit an append, which incremental readers can follow."""
    table = Table()
    lake.write([table], {"mode": "history"})
    records = [table.create(row(1)), table.update(row(1), row(1, 5)), table.delete(row(1, 5))]
    lake.replay(records)
    lake.replay(records)
    rows = sorted(lake.seen("*", "items_cdc"), key=lambda one: one["offset"])
    assert [(one["op"], one["id"], one["amount"], one["offset"]) for one in rows] == [
        ("c", 1, 0, 0), ("u", 1, 5, 1), ("d", 1, 5, 2)]
    assert {s["operation"] for s in lake.described("items_cdc")["snapshots"]} == {"append"}


def test_truncate(lake):
    table = Table()
    lake.write([table], {**HARD, "on_truncate": "apply"})
    lake.replay([table.create(row(1)), table.create(row(2))])
    lake.replay([table.create(row(3)), table.truncate(), table.create(row(2, 4))])
    assert lake.rows("id, name, amount") == {2: row(2, 4)}


def test_types(lake):
    """Each kind of value as two readers see it, and NULL: what a Delta table has, in the format's words."""
    words = {"bool": "boolean", "int32": "int", "int64": "long", "date32[day]": "date",
             "timestamp[us]": "timestamp", "timestamp[us, tz=UTC]": "timestamptz"}
    table = Table(columns={"id": INT, **{name: schema for name, (schema, *_) in TYPES.items()}})
    lake.write([table], HARD)
    lake.replay([table.create({"id": 1, **{name: sent for name, (_, sent, *_) in TYPES.items()}}),
                 table.create({"id": 2})])
    for reader in lake.readers:
        first, second = sorted(lake.ask(reader, columns="*"), key=lambda one: one["id"])
        assert {name: first[name] for name in TYPES} == {name: read for name, (*_, read) in TYPES.items()}, reader
        assert {second[name] for name in TYPES} == {None}, reader
    types = lake.described()["types"]
    assert {name: types[name] for name in TYPES} == {
        name: words.get(type, type.replace("decimal128", "decimal")) for name, (_, _, type, _) in TYPES.items()}


# ---- columns -------------------------------------------------------------------------------------

def test_columns_change(lake, tmp_path):
    """A column is added, one is promoted, and one that the format can't promote gets another beside it."""
    table = Table(columns={"id": INT, "amount": INT})
    lake.write([table], {**HARD, "evolve": "full"})
    lake.replay([table.create({"id": 1, "amount": 1})])
    files = sorted(lake.path().glob("data/*"))
    table.columns = {"id": INT, "amount": BIGINT, "note": TEXT}
    lake.replay([table.create({"id": 2, "amount": 2**40, "note": "new"})])
    table.columns = {"id": INT, "amount": TEXT, "note": TEXT}
    lake.replay([table.create({"id": 3, "amount": "many", "note": None}),
                 table.update(None, {"id": 1, "amount": "one", "note": "x"})])
    rows = lake.rows("id, amount, note, amount__v2")
    assert {number: tuple(found.values())[1:] for number, found in rows.items()} == {
        1: (1, "x", "one"), 2: (2**40, "new", None), 3: (None, None, "many")}
    assert set(files) <= set(lake.path().glob("data/*")), "no file was written again"


# ---- faults --------------------------------------------------------------------------------------

@pytest.mark.parametrize("step", ("data", "deletes", "commit", "committed"))
def test_killed_at_each_step(lake, step):
    """In the first table's commit, the second's, and that of the offsets: what comes again is there once."""
    items, others, first, second, state = two_tables()
    lake.write([items, others], HARD)
    lake.replay(first)
    for which in KILLS[step]:
        lake.replay(second, env={"ODS_LAKE_FAULT": f"kill:{step}:{which}"}, expect=-9)
    lake.replay(second)
    for table in ("items", "others"):
        assert lake.rows("id, name, amount", table) == state
        assert len(lake.commits(table)) == 2, "written twice"


@pytest.mark.parametrize("fault", ["lost:commit:1", "lost:commit:2;lost:commit:3", "retry:data:1;retry:commit:1",
                                   "retry:deletes:1;lost:commit:1"])
def test_lost_answers_and_outages(lake, fault):
    """Settled by what the table says; the process goes on."""
    items, others, first, second, state = two_tables()
    lake.write([items, others], HARD)
    lake.replay(first)
    lake.replay(second, env={"ODS_LAKE_FAULT": fault})
    for table in ("items", "others"):
        assert lake.rows("id, name, amount", table) == state
        assert len(lake.commits(table)) == 2, "written twice"


def test_compaction(lake):
    """Small files and deletes become one file, while records come; then files that nobody needs go."""
    table = Table()
    lake.write([table], HARD, batch={"max_events": 5},
               target={"maintenance": {"small_files": 4, "checkpoint_every": 5, "snapshots": 8, "keep_for": "0s", "busy_percent": 100}})
    done = lake.replay([table.create(row(number)) for number in range(100)] +
                       [table.update(None, row(number, 1)) for number in range(0, 100, 3)])
    assert "compacted" in done.stderr
    assert lake.rows("id, amount") == {number: {"id": number, "amount": int(number % 3 == 0)}
                                       for number in range(100)}
    described = lake.described()
    assert described["version"] > 27 and described["files"] < 8 and len(described["snapshots"]) <= 8 + 5


def test_a_foreign_writer(lake):
    """Rows that PyIceberg appends between two commits are found by their keys like others."""
    table = Table(columns={"id": INT, "amount": BIGINT})
    lake.write([table], HARD)
    lake.replay([table.create({"id": 1, "amount": 1})])
    lake.ask("iceberg_append", rows=[{"id": 7, "amount": 70}, {"id": 8, "amount": 80}])
    lake.replay([table.update(None, {"id": 7, "amount": 71}), table.delete({"id": 8, "amount": 80})])
    assert lake.rows("id, amount") == {1: {"id": 1, "amount": 1}, 7: {"id": 7, "amount": 71}}


def test_foreign_commits_while_it_writes(lake):
    """Who was faster is read and taken into account: a compare-and-swap that fails is no outage."""
    table = Table(columns={"id": INT, "amount": BIGINT})
    lake.write([table], HARD, batch={"max_events": 2})
    lake.replay([table.create({"id": 1, "amount": 0})])
    foreign, stop = [], threading.Event()

    def append():
        while not stop.is_set() and len(foreign) < 20:
            number = 1000 + len(foreign)
            try:
                lake.ask("iceberg_append", rows=[{"id": number, "amount": number}])
            except AssertionError as error:
                assert "CommitFailed" in str(error), error
                continue
            foreign.append(number)

    writer = threading.Thread(target=append)
    writer.start()
    lake.replay([table.update(None, {"id": number % 10, "amount": number}) for number in range(200)])
    stop.set()
    writer.join()
    assert foreign and lake.rows("id, amount") == {
        **{number: {"id": number, "amount": 190 + number} for number in range(10)},
        **{number: {"id": number, "amount": number} for number in foreign}}


def test_letters(lake, tmp_path):
    table = Table(columns={"id": INT, "seen": {"type": "string", "name": "io.debezium.time.ZonedTimestamp"}})
    lake.write([table], HARD)
    letters = tmp_path / "letters.jsonl"
    lake.replay([table.create({"id": 1, "seen": "2025-01-01T00:00:00Z"}), table.create({"id": 2, "seen": "infinity"})],
                letters=letters)
    assert list(lake.rows("id, seen")) == [1]
    assert {letter["offset"] for letter in read_lines(letters)} == {1}


def catalog_in_postgres(lake, database, stack):
    """The target's settings; readers find the tables there too."""
    lake.metadata = lambda table: database.value(
        "select metadata_location from iceberg_tables where table_namespace = 'shop' and table_name = %s", table)
    return {"catalog": {
        "uri": f"postgresql://ods:${{ODS_STACK_POSTGRES_PASSWORD}}@127.0.0.1:{stack['POSTGRES_PORT']}/{database.name}"}}


def test_catalog_in_postgres(lake, database, stack):
    """The catalog in the user's PostgreSQL: the same tables, and answers that are lost."""
    items, others, first, second, state = two_tables()
    lake.write([items, others], HARD, target=catalog_in_postgres(lake, database, stack))
    lake.replay(first)
    lake.replay(second, env={"ODS_LAKE_FAULT": "lost:commit:1;retry:commit:2"})
    for table in ("items", "others"):
        assert lake.rows("id, name, amount", table) == state
    assert not (lake.folder / "catalog.sqlite").exists()


class Meanwhile(threading.Thread):
    """Does something again and again while a block runs; counts how often it did."""

    def __init__(self, what, every=0.05):
        super().__init__(daemon=True)
        self.what, self.every, self.over, self.count = what, every, threading.Event(), 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def run(self):
        while not self.over.wait(self.every):
            self.count += self.what()


def test_a_catalog_in_postgres_that_breaks_off(lake, database, stack):
    """Its sessions are ended in the middle of whatever they do: an outage, or an answer that is lost."""
    table = parted_table()
    lake.write([table], HARD, batch={"max_events": 6}, target=catalog_in_postgres(lake, database, stack))
    records, state = random_changes(table)
    ends = (f"select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{database.name}' "
            "and application_name = 'ods-sink'")
    with Meanwhile(lambda: database.value(ends), 0.7) as broken:
        while broken.count < 5:
            said = lake.replay(records).stderr
    assert not [line for line in said.splitlines() if line.startswith("FATAL")], "libpq prints nothing by itself"
    assert lake.seen(", ".join(PARTED)) == sorted(state.values(), key=str)
    lake.commits()


REFUSED_AT_ITS_END = """
create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'not at this moment' using errcode = '40001'; end $$;
create constraint trigger refuse after update on iceberg_tables deferrable initially deferred
    for each row execute function refuse()"""


@pytest.mark.parametrize("fault", ["locked", "frozen", "refused"])
def test_a_catalog_in_postgres_that_does_not_answer(lake, database, stack, tmp_path, fault):
    """Its table is locked by somebody, or the session's process stands still, or a statement is done and its transaction
    is not: the lane is told, and goes on by itself."""
    recorded, settings = Recorded(lake.sink, tmp_path), catalog_in_postgres(lake, database, stack)
    settings["catalog"]["timeout_ms"] = 300
    lake.sink.http_port = free_port()
    lake.sink.write({**recorded.pipeline, "defaults": HARD}, targets=[lake.target(**settings)],
                    http={"listen": f"127.0.0.1:{lake.sink.http_port}"})
    daemon = lake.sink.daemon()

    def has_committed(rows):
        return daemon.metric("ods_sink_lake_commits_total") == rows

    daemon.await_ready()
    daemon.await_that(lambda: has_committed(1), what="the first row")
    sessions = [pid for pid, in database.execute(
        "select pid from pg_stat_activity where datname = %s and application_name = 'ods-sink'", database.name)]
    assert sessions, "the catalog keeps no connection"
    if fault == "locked":
        with closing(database.connect()) as holder, holder.cursor() as cursor:
            cursor.execute("begin; lock table iceberg_tables in access exclusive mode")
            recorded.send()
            daemon.await_that(lambda: "statement timeout" in daemon.log(), what="a statement that waited for the lock")
    elif fault == "refused":
        database.execute(REFUSED_AT_ITS_END)
        recorded.send()
        daemon.await_that(lambda: "not at this moment" in daemon.log(), what="a transaction that was refused")
        database.execute("drop trigger refuse on iceberg_tables")
    else:
        for session in sessions:
            os.kill(session, signal.SIGSTOP)
        try:
            recorded.send()
            daemon.await_that(lambda: has_committed(2), what="the second row, by another session")
        finally:
            for session in sessions:
                os.kill(session, signal.SIGCONT)
    daemon.await_that(lambda: has_committed(2), what="the second row")
    daemon.stop()
    assert sorted(lake.rows("id")) == [1, 2]
    lake.commits()


def test_a_catalog_in_sqlite_that_is_locked(lake):
    """Somebody else holds the file now and then: commits wait for it."""
    table = parted_table()
    lake.write([table], HARD, batch={"max_events": 12})
    records, state = random_changes(table)
    lake.replay(records[:20])

    def hold():
        with closing(sqlite3.connect(lake.folder / "catalog.sqlite", timeout=30, isolation_level=None)) as catalog:
            catalog.execute("begin exclusive")
            time.sleep(0.3)
            catalog.execute("rollback")
        return 1

    with Meanwhile(hold, 0.2) as held:
        lake.replay(records)
    assert held.count >= 3, "the fault came too seldom"
    assert lake.seen(", ".join(PARTED)) == sorted(state.values(), key=str)
    lake.commits()


@pytest.mark.timeout(KILLS_S)
def test_kills(lake, kafka, table):
    """kill -9 whenever it pleases, every second time while a history is written: nothing lost, nothing twice.
    ODS_LAKE_KILLS says how often."""
    kills, choose = number_of_kills(), random.Random(1)
    history = Table("others", prefix=table.prefix)
    kafka.create(history.topic, 1)
    lake.sink.write({**pipeline(table, defaults=HARD, tables={"others": {"mode": "history"}}),
                     "topics": [table.topic, history.topic]}, kafka=True, kafka_properties={
        "session.timeout.ms": "1000", "heartbeat.interval.ms": "200"}, targets=[lake.target(commit_ms=30)])
    states, sent = ({}, {}), []
    daemon = lake.sink.daemon()
    for turn in range(kills):
        its, name = ((table, "items"), (history, "others_cdc"))[turn % 2]
        made = changes_of(its, states[turn % 2], choose)
        sent += [change for _, change in made] if its is history else []
        version = described_version(lake, name)
        kafka.produce([record for record, _ in made])
        daemon.await_that(lambda: described_version(lake, name) != version, 60, "a commit")
        daemon.kill()
        daemon = lake.sink.daemon()
    daemon.await_that(lambda: lake.read("id, name, amount") == states[0], 60, "all rows are there")
    daemon.await_that(lambda: len(lake.read("offset", "others_cdc", "offset")) == len(sent), 60, "all changes are there")
    daemon.await_ready().stop()
    assert lake.rows("id, name, amount") == states[0]
    found = lake.rows("*", "others_cdc", "offset")
    assert {at: {name: one[name] for name in ("op", *row(1))} for at, one in found.items()} == dict(enumerate(sent))
    lake.commits()
    lake.commits("others_cdc")
    keep("iceberg", "kill", 1, kills, 150 * kills, len(states[0]) + len(sent))


def changes_of(table, state, choose):
    """150 records, and of each what its history says: of a delete the row that went."""
    made = []
    for _ in range(150):
        number, amount = choose.randrange(300), choose.randrange(1000)
        before = state.get(number)
        if before and choose.random() < 0.2:
            made.append((table.delete(state.pop(number)), {"op": "d", **before}))
            continue
        state[number] = row(number, amount)
        made.append((table.update(before, state[number]) if before else table.create(state[number]),
                     {"op": "u" if before else "c", **state[number]}))
    return made


def described_version(lake, table="items"):
    try:
        return lake.described(table)["version"]
    except Missing:
        return None
