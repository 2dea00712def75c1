"""A table of Delta Lake or Iceberg as a source: its rows and its changes reach PostgreSQL once each, whoever
writes it, under kills, compaction and changes of its columns."""

import json
import os
import random
import subprocess
from collections import Counter

import pytest
from lib.lake import WHY_NOT, Reader, engine, keep
from lib.records import BIGINT, INT, TEXT, Table
from lib.s3 import KEYS, Storage
from lib.sink import Exit, Setup, free_port
from lib.size import size
from lib.stack import ROOT
from lib.waiting import wait_for
from test_delta_target import HARD, Lake, row
from test_iceberg_target import Lake as IcebergLake

LAKES = {"delta": Lake, "iceberg": IcebergLake}
COLUMNS = ["id", "name", "amount"]


class Writer(Reader):
    """delta-rs."""

    script = ROOT / "tests" / "support" / "delta_writer.py"

    def __init__(self):
        python = subprocess.run([ROOT / "scripts" / "lake-readers", "--prepare"], text=True, check=True,
                                stdout=subprocess.PIPE).stdout.strip()
        self.process = subprocess.Popen([python, self.script], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)


@pytest.fixture(scope="module")
def writer():
    made = Writer()
    yield made
    made.close()


@pytest.fixture
def feed(request, sink, tmp_path, stack, database):
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    other = Setup(tmp_path / "writes", sink.binary, stack)
    kind = LAKES[getattr(request, "param", "delta")]
    yield Feed(sink, kind(other, tmp_path / "lake", request.getfixturevalue("lake_reader")), database)
    other.close()


of_both = pytest.mark.parametrize("feed", sorted(LAKES), indirect=True)
of_iceberg = pytest.mark.parametrize("feed", ["iceberg"], indirect=True)


class Feed:
    """A pipeline from the lake into PostgreSQL, and who writes the lake."""

    def __init__(self, sink, lake, database):
        self.sink, self.lake, self.database = sink, lake, database

    def write(self, *topics, targets=(), start="snapshot", inputs=None, on_gone="stop", batch=None, **settings):
        self.sink.http_port = self.sink.http_port or free_port()
        location = {} if inputs and "target" in inputs else {"location": str(self.lake.folder)}
        pipe = {"name": "feed", "topics": list(topics or ("shop.items",)), "format": "debezium", "target": "ods",
                "input": {"type": self.lake.kind, "poll_ms": 50, "start": start, **location, **(inputs or {})},
                "defaults": {"mode": "both", "history": {"images": "both"}, "create_tables": True, "evolve": "full", **HARD}, **settings}
        self.sink.write(pipe, targets=[{"name": "ods", "type": "postgres", "dsn": self.database.dsn}, *targets],
                        http={"listen": f"127.0.0.1:{self.sink.http_port}"}, batch=batch or {})
        conf = self.sink.conf.read_text()
        assert "kafka = {" in conf
        self.sink.conf.write_text(conf.replace("kafka = {", f'kafka = {{ on_offset_gone = "{on_gone}";'))
        return self

    def rows(self, table="items", columns=COLUMNS):
        if not self.database.exists(table):
            return {}
        found = self.database.execute(f"select {', '.join(columns)} from {table}")
        return {one[0]: dict(zip(columns, one)) for one in found}

    def history(self, table="items"):
        return self.database.execute(f'select op, "offset" from {table}_cdc order by "offset"')

    def await_rows(self, daemon, expected, table="items", columns=COLUMNS):
        daemon.await_that(lambda: self.rows(table, columns) == expected, 60, "the table's rows")

    def lag(self, daemon):
        code, body = daemon.get("/status")
        return code and [one["lag"] for lane in json.loads(body)["lanes"] for one in lane["partitions"]]


def events_of(changes):
    """Changes as `ods-sink changes` prints them, with the two rows of an update as one."""
    return Counter({"update_postimage": "u", "insert": "c", "delete": "d"}[one["_change_type"]]
                   for one in changes if one["_change_type"] != "update_preimage")


def given_up(feed):
    """What a daemon says that stops."""
    daemon = feed.sink.daemon()
    assert daemon.process.wait(60) == Exit.SOURCE
    daemon.ended = True
    return daemon.log()


def stored(database):
    return max(database.offsets().values(), default=0)


@of_both
def test_rows_then_changes(feed):
    """A snapshot, then each change as it is committed; an update is one event with both rows."""
    table = Table()
    feed.lake.write([table], HARD, batch={"max_events": 2})
    feed.lake.replay([table.create(row(number)) for number in range(5)])
    said = feed.write().sink.check("--connect").stdout
    kept = {"delta": "versions", "iceberg": "snapshots"}[feed.lake.kind]
    assert f"provided that the tables' {kept} are kept" in said
    assert "the table in" in said and "is at version 3" in said
    daemon = feed.sink.daemon()
    feed.await_rows(daemon, {number: row(number) for number in range(5)})
    feed.lake.replay([table.update(row(1), row(1, 7)), table.delete(row(2)), table.create(row(9))])
    expected = {number: row(number) for number in (0, 3, 4, 9)} | {1: row(1, 7)}
    feed.await_rows(daemon, expected)
    daemon.await_that(lambda: feed.lag(daemon) == [0], what="nothing is left")
    assert daemon.metric('ods_sink_partition_lag_records{pipeline="feed",topic="shop.items",partition="0"}') == 0
    daemon.stop()
    found = feed.history()
    assert Counter(op for op, _ in found) == {"r": 5, "u": 1, "d": 1, "c": 1}
    assert [offset // 10**10 for op, offset in found if op == "r"] == [3] * 5
    (before,), = feed.database.execute("select before from items_cdc where op = 'u'")
    before = json.loads(before)
    assert before["amount"] == 0 and before["name"] == "n1"
    assert stored(feed.database) == (max(offset for _, offset in found) // 10**10 + 1) * 10**10


@of_both
def test_killed_at_any_moment(feed):
    """kill -9 of the reading daemon while the table is written, compacted and given a column: rows are those of
    the table, and no change is there twice. ODS_FEED_KILLS=50 makes it fifty."""
    kills = int(os.environ.get("ODS_FEED_KILLS", size("FEED_KILLS", 3, 20)))
    choose, table, state = random.Random(18), Table(), {}
    whole = {"snapshots": 100000} if feed.lake.kind == "iceberg" else {}  # so that all changes can be read at the end
    feed.lake.write([table], {**HARD, "evolve": "full"}, batch={"max_events": 40},
                    target={"maintenance": {"small_files": 4, "checkpoint_every": 5, **whole}})
    feed.write(start="0", inputs={"poll_ms": 10, "prefetch_bytes": 65536})
    daemon, applied = None, 0
    for turn in range(kills + 1):
        if turn == kills // 2:
            table.columns = {**table.columns, "note": TEXT}
        records = []
        for _ in range(120):
            number = choose.randrange(200)
            before = state.pop(number, None)
            if before and choose.random() < 0.25:
                records.append(table.delete(before))
                continue
            state[number] = row(number, choose.randrange(1000))
            if turn >= kills // 2:
                state[number]["note"] = choose.choice([None, "x"])
            records.append(table.update(before, state[number]) if before else table.create(state[number]))
        feed.lake.replay(records)
        daemon = daemon or feed.sink.daemon()
        if turn < kills:
            wait_for(lambda: stored(feed.database) > applied, 60)
            applied = stored(feed.database)
            daemon.kill()
            daemon = feed.sink.daemon()
    columns = [*COLUMNS, "note"]
    feed.await_rows(daemon, {number: {"note": None, **one} for number, one in state.items()}, columns=columns)
    daemon.await_that(lambda: feed.lag(daemon) == [0], what="nothing is left")
    daemon.stop()
    place = f"{feed.lake.kind}://{feed.lake.path()}"
    said = feed.lake.sink.run("changes", place, "--from-version", "0", "--json").stdout
    sent = events_of(map(json.loads, said.splitlines()))
    found = feed.history()
    assert len({offset for _, offset in found}) == len(found), "a change is there twice"
    assert Counter(op for op, _ in found) == sent
    keep(feed.lake.kind, "killed while it is read", 18, kills, sum(sent.values()), len(state))


VALUES = {"price": "12345678.90", "share": "nan", "day": "1969-12-31", "at": "2026-01-31T12:00:00.000001+00:00",
          "local": "1901-01-01T00:00:00", "raw": "00ff", "good": True, "tags": ["a", None, "\"\\"], "small": -5,
          "pair": {"a": 1, "b": "x"}}


def test_written_by_delta_rs(feed, writer):
    """A table that others write: with a feed and without, merged, updated, deleted, compacted, of all types. Rows
    of a file that is only written anew are no changes."""
    for name, has_feed in (("items", True), ("plain", False)):
        path = str(feed.lake.path(name))
        rows = [{**row(number), **VALUES} for number in range(6)] + [{**row(6), **dict.fromkeys(VALUES)}]
        writer.ask("append", path, rows=rows, feed=has_feed)
    feed.write("shop.items", "shop.plain", start="0", tables={"items": {"key": ["id"]}, "plain": {"key": ["id"]}})
    daemon = feed.sink.daemon()
    for name in ("items", "plain"):
        path = str(feed.lake.path(name))
        writer.ask("merge", path, rows=[{**row(1, 5), **VALUES}, {**row(8), **VALUES}])
        writer.ask("update", path, where="id = 2", amount="9", price="-0.01")
        writer.ask("update", path, where="id = 3", id="33")
        writer.ask("delete", path, where="id = 4")
        writer.ask("optimize", path)
        writer.ask("append", path, rows=[{**row(10), **VALUES, "note": "later"}])
    expected = {number: row(number) for number in (0, 5, 6, 8, 10)} | {1: row(1, 5), 2: row(2, 9)}
    expected[33] = {"id": 33, "name": "n3", "amount": 0}
    for name in ("items", "plain"):
        feed.await_rows(daemon, expected, name)
        columns = 'price::text, share::text, day::text, "at" = timestamptz \'2026-01-31 12:00:00.000001Z\', ' \
            "local::text, raw = '\\x00ff', good, tags, small, pair::jsonb = '{\"a\": 1, \"b\": \"x\"}', note"
        assert feed.database.execute(f"select {columns} from {name} where id = 10") == [
            ("12345678.90", "NaN", "1969-12-31", True, "1901-01-01 00:00:00", True, True, VALUES["tags"], -5, True,
             "later")]
        assert str(feed.database.value(f"select price from {name} where id = 2")) == "-0.01"
        # 7 rows, one merged, one new, one updated, a key that is another (the feed says of it that it is an update,
        # without it it is a new row), one deleted, one later.
        kinds = Counter(op for op, _ in feed.history(name))
        assert kinds == ({"c": 9, "u": 3, "d": 2} if name == "items" else {"c": 10, "u": 2, "d": 2}), (name, kinds)
    daemon.await_that(lambda: feed.lag(daemon) == [0, 0], what="nothing is left")
    daemon.stop()


def test_more_old_rows_than_fit(feed, writer):
    """A version is read in several passes where its old rows are too many to be held: each change comes once."""
    path = str(feed.lake.path())
    writer.ask("append", path, rows=[row(number, name="n" * 100) for number in range(3000)])
    writer.ask("update", path, where="id < 2900", amount="id + 1")
    writer.ask("delete", path, where="id >= 2950")
    feed.write(start="0", tables={"items": {"key": ["id"]}})
    daemon = feed.sink.daemon(env={"ODS_LAKE_HELD": "20000"})
    expected = {number: row(number, number + 1 if number < 2900 else 0, "n" * 100) for number in range(2950)}
    feed.await_rows(daemon, expected)
    daemon.await_that(lambda: feed.lag(daemon) == [0], what="nothing is left")
    daemon.stop()
    found = feed.history()
    assert Counter(op for op, _ in found) == {"c": 3000, "u": 2900, "d": 50}


@of_both
def test_where_to_start(feed):
    table = Table()
    feed.lake.write([table], HARD, batch={"max_events": 1})
    feed.lake.replay([table.create(row(number)) for number in range(4)])
    for start, ids in (("latest", [9]), ("3", [2, 3, 9]), ("snapshot", [0, 1, 2, 3, 9])):
        feed.write(start=start, name=start, tables={"items": {"target": f"t{start}", **HARD}})
        daemon = feed.sink.daemon()
        daemon.await_that(lambda: feed.lag(daemon) == [0], what="it is at the end")
        if start == "latest":
            feed.lake.replay([table.create(row(9))])
        feed.await_rows(daemon, {number: row(number) for number in ids}, f"t{start}")
        daemon.stop()


def test_versions_that_are_gone(feed):
    """Changes that can't be read any more are told, with what to do, and nothing is passed over; `earliest`
    begins anew with a snapshot."""
    table = Table()
    feed.lake.write([table], HARD, batch={"max_events": 1}, target={"maintenance": {"checkpoint_every": 2}})
    feed.lake.replay([table.create(row(0))])
    daemon = feed.write().sink.daemon()
    feed.await_rows(daemon, {0: row(0)})
    daemon.await_that(lambda: feed.lag(daemon) == [0], what="nothing is left")
    daemon.stop()
    feed.lake.replay([table.create(row(number)) for number in range(1, 6)])
    for version in (2, 3):
        (feed.lake.path() / "_delta_log" / f"{version:020}.json").unlink()
    said = given_up(feed)
    assert "version 2 of" in said and "its log has expired" in said and "begin anew with a snapshot" in said
    assert "ods-sink reset --topic shop.items" in said
    assert feed.rows() == {0: row(0)}
    feed.sink.run("reset", "-c", feed.sink.conf, "--topic", "shop.items", "--to", "earliest", "--yes")
    daemon = feed.sink.daemon()
    feed.await_rows(daemon, {number: row(number) for number in range(6)})
    daemon.await_that(lambda: feed.lag(daemon) == [0], what="nothing is left")
    daemon.stop()
    feed.write(start="2", name="other")
    assert "can't begin where input.start has it (2)" in given_up(feed)


def test_a_file_that_is_gone(feed):
    table = Table()
    feed.lake.write([table], HARD, batch={"max_events": 1})
    feed.lake.replay([table.create(row(number)) for number in range(2)])
    feed.write(start="0", on_gone="earliest")
    daemon = feed.sink.daemon()
    feed.await_rows(daemon, {0: row(0), 1: row(1)})
    daemon.await_that(lambda: feed.lag(daemon) == [0], what="nothing is left")
    daemon.stop()
    feed.lake.replay([table.update(row(1), row(1, 2)), table.update(row(1, 2), row(1, 3))])
    gone, = [path for path in (feed.lake.path() / "_change_data").iterdir()
             if path.stat().st_mtime_ns == min(one.stat().st_mtime_ns for one in
                                               (feed.lake.path() / "_change_data").iterdir())]
    gone.unlink()
    daemon = feed.sink.daemon()
    feed.await_rows(daemon, {0: row(0), 1: row(1, 3)})
    assert "is missing although the table names it" in daemon.log()
    daemon.stop()


def test_columns_that_came_during_the_snapshot(feed):
    """A daemon that was killed within a snapshot goes on with it, with the columns that the version had."""
    table = Table()
    rows = {number: row(number, name="n" * 500) for number in range(2000)}
    feed.lake.write([table], {**HARD, "evolve": "full"})
    feed.lake.replay([table.create(one) for one in rows.values()])
    feed.write(inputs={"prefetch_bytes": 65536}, batch={"max_events": 20})
    daemon = feed.sink.daemon()
    wait_for(lambda: stored(feed.database), 60, interval_s=0.001)
    daemon.kill()
    begun = stored(feed.database)
    table.columns = {**table.columns, "note": TEXT}
    feed.lake.replay([table.create({**row(5000), "note": "x"})])
    daemon = feed.sink.daemon()
    expected = {number: {**one, "note": None} for number, one in rows.items()}
    expected[5000] = {**row(5000), "note": "x"}
    daemon.await_that(lambda: "note" in feed.database.columns("items"), what="the column")
    feed.await_rows(daemon, expected, columns=[*COLUMNS, "note"])
    daemon.stop()
    assert begun % 10**10 >= 5 * 10**9, "it was killed within the snapshot"
    found = feed.history()
    assert len({offset for _, offset in found}) == len(found) == 2001


@of_iceberg
def test_snapshots_that_are_gone(feed):
    """Those that have expired are told, and nothing is passed over; one that was left behind is told likewise."""
    table = Table()
    still = {"maintenance": {"enabled": False}}
    feed.lake.write([table], HARD, batch={"max_events": 1}, target=still)
    feed.lake.replay([table.create(row(0))])
    daemon = feed.write().sink.daemon()
    feed.await_rows(daemon, {0: row(0)})
    daemon.await_that(lambda: feed.lag(daemon) == [0], what="nothing is left")
    daemon.stop()
    feed.lake.write([table], HARD, batch={"max_events": 1}, target={
        "maintenance": {"small_files": 3, "checkpoint_every": 2, "snapshots": 2, "keep_for": "0s"}})
    feed.lake.replay([table.create(row(number)) for number in range(1, 8)])
    said = given_up(feed)
    assert "version 2 of" in said and "has expired" in said and "begin anew with a snapshot" in said
    assert feed.rows() == {0: row(0)}
    feed.sink.run("reset", "-c", feed.sink.conf, "--topic", "shop.items", "--to", "earliest", "--yes")
    daemon = feed.sink.daemon()
    rows = {number: row(number) for number in range(8)}
    feed.await_rows(daemon, rows)
    daemon.await_that(lambda: feed.lag(daemon) == [0], what="nothing is left")
    feed.lake.ask("iceberg_set_back")
    daemon.await_that(lambda: "was made anew, or set back" in daemon.log(), what="it was set back")
    assert daemon.process.wait(60) == Exit.SOURCE
    daemon.ended = True
    assert feed.rows() == rows


@of_iceberg
def test_written_by_pyiceberg(feed):
    """Rows that others append, and files that they write anew: only what changed is told."""
    table = Table(columns={"id": INT, "amount": BIGINT})
    feed.lake.write([table], HARD)
    feed.lake.replay([table.create({"id": number, "amount": number}) for number in range(1, 5)])
    daemon = feed.write(start="0").sink.daemon()
    feed.lake.replay([table.update(None, {"id": 2, "amount": 20})])
    feed.lake.ask("iceberg_append", rows=[{"id": 7, "amount": 70}])
    feed.lake.ask("iceberg_overwrite", rows=[{"id": 3, "amount": 33}], where="id = 3 or id = 4")
    expected = {number: {"id": number, "amount": amount} for number, amount in ((1, 1), (2, 20), (3, 33), (7, 70))}
    feed.await_rows(daemon, expected, columns=["id", "amount"])
    daemon.await_that(lambda: feed.lag(daemon) == [0], what="nothing is left")
    daemon.stop()
    # PyIceberg makes two snapshots of an overwrite: rows that go, and rows that come.
    assert Counter(op for op, _ in feed.history()) == {"c": 6, "u": 1, "d": 2}


@of_both
def test_a_table_that_comes_later(feed):
    """And one without a key, of which rows are added alone."""
    daemon = feed.write("shop.items", "shop.late", defaults={"keyless": "append", "on_delete": "hard"}).sink.daemon()
    daemon.await_that(lambda: "there is no table of " in daemon.log(), what="it is missing")
    table = Table()
    feed.lake.write([table], HARD)
    feed.lake.replay([table.create(row(1))])
    feed.await_rows(daemon, {1: row(1)})
    daemon.stop()


@pytest.mark.parametrize("feed, inputs, says", [
    ("delta", {"location": "lake"}, "'location' is a folder by its whole path"),
    ("delta", {"start": "first"}, "'start' is snapshot, latest or a version's number"),
    ("delta", {"target": "ods"}, "is no target of type delta"),
    ("iceberg", {"location": "s3://b/x"}, "'target' names the catalog"),
    ("iceberg", {"location": "/x", "target": "ods"}, "either 'location'"),
    ("iceberg", {"target": "ods"}, "is no target of type iceberg"),
], indirect=["feed"])
def test_settings(feed, inputs, says):
    feed.write(inputs=inputs)
    assert says in feed.sink.check(expect=Exit.CONFIG).stderr


@of_iceberg
def test_a_table_without_a_namespace(feed):
    feed.write("items")
    assert "names no table of Iceberg" in feed.sink.check(expect=Exit.CONFIG).stderr


@of_iceberg
def test_by_a_target(feed, stack):
    """The catalog is the target's, in PostgreSQL."""
    table = Table()
    uri = (f"postgresql://ods:${{ODS_STACK_POSTGRES_PASSWORD}}@127.0.0.1:{stack['POSTGRES_PORT']}/"
           f"{feed.database.name}")
    catalog = {"catalog": {"uri": uri}}
    feed.lake.write([table], HARD, target=catalog)
    feed.lake.replay([table.create(row(1))])
    feed.write(inputs={"target": "lake"}, targets=[feed.lake.target(name="lake", **catalog)])
    daemon = feed.sink.daemon()
    feed.await_rows(daemon, {1: row(1)})
    feed.lake.replay([table.update(row(1), row(1, 7))])
    feed.await_rows(daemon, {1: row(1, 7)})
    daemon.stop()


def test_from_a_bucket(feed, tmp_path):
    """S3 by a target's settings, an outage in between."""
    storage = Storage(tmp_path / "s3.log")
    try:
        storage.ask("PUT", "lake")
        table = Table()
        s3 = {"endpoint": storage.url, "access_key_id": KEYS["AWS_ACCESS_KEY_ID"],
              "secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"], "retries": 0, "timeout_ms": 5000}
        lake = {"name": "lake", "type": "delta", "location": "s3://lake/x", "commit_ms": 20, "s3": s3}
        feed.lake.write([table], HARD, target={**lake, "name": "ods"}, batch={"max_events": 2})
        feed.lake.replay([table.create(row(number)) for number in range(5)])
        feed.write(targets=[lake], inputs={"target": "lake"})
        daemon = feed.sink.daemon()
        feed.await_rows(daemon, {number: row(number) for number in range(5)})
        feed.lake.replay([table.update(row(1), row(1, 7)), table.delete(row(2))])
        feed.await_rows(daemon, {0: row(0), 1: row(1, 7), 3: row(3), 4: row(4)})
        storage.close()
        daemon.await_that(lambda: "can't be read" in daemon.log(), what="the outage is told")
        assert KEYS["AWS_SECRET_ACCESS_KEY"] not in daemon.log()
        daemon.stop()
    finally:
        storage.close()
