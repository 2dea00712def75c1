"""Tables of Delta Lake, read back by DuckDB and delta-rs: after a random load, kills, lost answers,
compaction and changes of columns."""

import base64
import json
import os
import random
import re
import time

import pytest
from lib.lake import WHY_NOT, Missing, engine, keep
from lib.lake_changes import Sent, applied, feed_as_sent
from lib.records import BIGINT, DOUBLE, INT, TEXT, Table, pipeline
from lib.sink import Exit, read_lines
from lib.size import size

READERS = ("duckdb", "deltalake")
HARD = {"on_delete": "hard", "cdc_operation": "off", "cdc_timestamp": "off"}


@pytest.fixture
def lake(request, sink, tmp_path):
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    return Lake(sink, tmp_path / "lake", request.getfixturevalue("lake_reader"))


class Lake:
    kind, readers = "delta", READERS

    def __init__(self, sink, folder, reader):
        self.sink, self.folder, self.reader = sink, folder, reader

    def target(self, **settings):
        return {"name": "ods", "type": self.kind, "location": str(self.folder), "commit_ms": 20, **settings}

    def write(self, tables, defaults=None, target=None, batch=None, **settings):
        """A pipeline of these tables, whose defaults are those given."""
        named = pipeline(rf"^{tables[0].prefix}\.shop\..*", defaults=defaults or {}, **settings)
        self.sink.write(named, targets=[self.target(**(target or {}))], batch=batch or {})

    def replay(self, records, env=None, expect=Exit.OK, letters=None):
        options = ["--dead-letter", letters] if letters else []
        return self.sink.run("replay", "-c", self.sink.conf, "--wait", 20, *options,
                             self.sink.file_of(records), env=env, expect=expect)

    def path(self, table="items"):
        return self.folder / "shop" / table

    def ask(self, word, table="items", **options):
        return self.reader.ask(word, self.path(table), **options)

    def seen(self, columns, table="items"):
        """Both readers see the same."""
        seen = [sorted(self.ask(reader, table, columns=columns), key=str) for reader in self.readers]
        assert seen[0] == seen[1]
        return seen[0]

    def rows(self, columns, table="items", key="id"):
        """By key."""
        try:
            seen = self.seen(columns, table)
        except Missing:
            return {}
        rows = {row[key]: row for row in seen}
        assert len(rows) == len(seen), "a key is there twice"
        return rows

    def read(self, columns, table="items", key="id"):
        """By key, while others write, by one reader: two would see two versions."""
        try:
            return {row[key]: row for row in self.ask(self.readers[0], table, columns=columns)}
        except Missing:
            return {}

    def described(self, table="items"):
        return self.ask("described", table)

    def changes(self, table="items", first=0):
        found = self.reader.ask("changes", self.path(table), first=first)
        return sorted(found, key=lambda row: (row["_commit_version"], row["id"], row["_change_type"]))


def row(number, amount=0, name=None):
    return {"id": number, "name": name or f"n{number}", "amount": amount}


# ---- without the engine --------------------------------------------------------------------------

def test_no_engine(sink, tmp_path):
    """What is missing, where it was looked for and how it is made: told at once, by whoever needs it."""
    table = Table()
    sink.write(pipeline(table), targets=[{"name": "ods", "type": "delta", "location": str(tmp_path / "lake"),
                                          "library": str(tmp_path / "none.so")}])
    found = sink.check()
    assert "exactly once" in found.stdout
    told = json.loads(sink.check("--json").stdout)["pipelines"][0]["lacks"]
    assert f"warning: items to ods: {told}\n" in found.stderr
    for part in ("the lake engine can't be loaded", "none.so", "scripts/lake-build", "Rust 1.95", "trixie-backports"):
        assert part in told
    said = sink.run("replay", "-c", sink.conf, sink.file_of([table.create(row(1))]), expect=Exit.TARGET).stderr
    assert "the lake engine can't be loaded" in said and "none.so" in said and "scripts/lake-build" in said
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("settings, says", [
    ({"location": "lake"}, "whole path"), ({"location": "s3:///x"}, "s3://bucket"),
    ({"location": "/x", "partition_by": {"items": "region, day(created)"}}, "transforms are Iceberg's")])
def test_settings(sink, settings, says):
    sink.write(pipeline(Table()), targets=[{"name": "ods", "type": "delta", **settings}])
    done = sink.check(expect=Exit.CONFIG)
    assert says in done.stdout + done.stderr


def test_looking_makes_nothing(lake):
    """`check` leaves no file."""
    lake.write([Table()], HARD)
    lake.sink.run("check", "-c", lake.sink.conf)
    assert not lake.path().exists() and not list(lake.folder.glob("_ods_sink/*/_delta_log/*"))


def test_secrets_are_not_shown(sink, tmp_path):
    secret = tmp_path / "key"
    secret.write_text("abracadabra\n")
    sink.write(pipeline(Table()), targets=[{"name": "ods", "type": "delta", "location": "s3://b/x", "s3": {
        "access_key_id": "id", "secret_access_key": f"${{file:{secret}}}", "session_token": "hocuspocus"}}])
    shown = sink.check().stdout
    assert "abracadabra" not in shown and "hocuspocus" not in shown


# ---- rows ----------------------------------------------------------------------------------------

PARTED_KEY = ("id", "part", "code")
PARTED = (*PARTED_KEY, "name", "amount")


def parted_table():
    return Table(columns={"id": INT, "part": TEXT, "code": {"type": "bytes"}, "name": TEXT, "amount": BIGINT},
                 key=PARTED_KEY, null_keys=True)


def random_changes(table):
    """600 records, and the rows they lead to: updates without all values, deletes, keys of three columns, with NULL and
    binary values."""
    choose = random.Random(int(os.environ.get("ODS_TEST_SEED", "17")))
    state, records = {}, []

    def image(row):
        """As Connect has it: bytes are in Base64."""
        return row and {**row, "code": row["code"] and base64.b64encode(bytes.fromhex(row["code"])).decode()}

    for _ in range(600):
        key = choose.randrange(20), choose.choice([None, "a", "b"]), choose.choice([None, "00ff", "00ff00"])
        before = state.get(key)
        if before and choose.random() < 0.3:
            records.append(table.delete(image(before)))
            del state[key]
            continue
        after = {**dict(zip(PARTED_KEY, key)), "name": choose.choice([None, "", "é😀", "x" * 50]),
                 "amount": choose.randrange(-2**62, 2**62)}
        sent = image(after)
        if before and choose.random() < 0.3:
            sent["name"], after["name"] = "__debezium_unavailable_value", before["name"]
        records.append(table.update(image(before), sent) if before else table.create(sent))
        state[key] = after
    return records, state


@pytest.mark.parametrize("files", [{}, {"partition_by": {"items": "part"}, "sort_by": {"items": "amount"}}],
                         ids=["plain", "parted and sorted"])
def test_random_load(lake, files):
    """Rows as the source has them, by both readers, and a change feed that leads from each version to the
    next: over updates without all values, deletes, keys of three columns with NULL and binary values, and many batches."""
    table = parted_table()
    lake.write([table], HARD, batch={"max_events": 40}, target=files)
    records, state = random_changes(table)
    for start in range(0, 600, 200):
        lake.replay(records[start:start + 200])
    lake.replay(records[400:])  # which are there
    assert lake.seen(", ".join(PARTED)) == sorted(state.values(), key=str)
    follow(lake, state)


def follow(lake, state):
    """The feed's changes, one after the other, from nothing to the rows as they are now."""
    seen, order = {}, {"update_preimage": 0, "delete": 0, "insert": 1, "update_postimage": 1}
    found = lake.changes()
    for change in sorted(found, key=lambda one: (one["_commit_version"], order[one["_change_type"]])):
        key, kind = tuple(change[name] for name in PARTED_KEY), change["_change_type"]
        image = {name: change[name] for name in PARTED}
        if order[kind] == 0:
            assert seen.pop(key) == image, f"{kind} of a row that was not so"
        else:
            assert key not in seen
            seen[key] = image
    assert seen == state
    assert {change["_change_type"] for change in found} == order.keys()


def test_change_feed(lake):
    """With a commit a change the feed says what was sent, and nothing else."""
    table = Table()
    lake.write([table], HARD, batch={"max_events": 1})
    lake.replay([table.create(row(1)), table.create(row(2)), table.update(row(1), row(1, 5)),
                 table.delete(row(2)), table.update(None, row(3, 3)), table.delete(row(9))])
    assert [(change["_change_type"], change["id"], change["amount"]) for change in lake.changes()] == [
        ("insert", 1, 0), ("insert", 2, 0), ("update_postimage", 1, 5), ("update_preimage", 1, 0),
        ("delete", 2, 0), ("insert", 3, 3)]


def test_soft_deletes(lake):
    """The default: rows stay and say so; those that are not there are not made."""
    table = Table()
    lake.write([table])
    lake.replay([table.create(row(1)), table.create(row(2)), table.create(row(3, 7)), table.delete(row(3, 7)),
                 table.tombstone(row(3))])
    lake.replay([table.delete(row(1)), table.delete(row(8)), table.update(row(2), row(2, 9))])
    rows = lake.rows("id, name, amount, cdc_operation, cdc_timestamp")
    assert {number: (found["name"], found["amount"], found["cdc_operation"]) for number, found in rows.items()} == {
        1: ("n1", 0, "d"), 2: ("n2", 9, "u"), 3: ("n3", 7, "d")}
    assert all(found["cdc_timestamp"].startswith("2025-10-09") for found in rows.values())


def test_history(lake):
    """Every change is a row, with its operation, place and times."""
    table = Table()
    lake.write([table], {"mode": "history"})
    records = [table.create(row(1)), table.update(row(1), row(1, 5)), table.delete(row(1, 5))]
    lake.replay(records)
    lake.replay(records)
    found = {reader: sorted(lake.reader.rows(lake.path("items_cdc"), "*", reader), key=lambda one: one["offset"])
             for reader in READERS}
    assert found["duckdb"] == found["deltalake"]
    rows = found["duckdb"]
    assert [(one["op"], one["id"], one["amount"], one["topic"], one["partition"], one["offset"]) for one in rows] == [
        ("c", 1, 0, table.topic, 0, 0), ("u", 1, 5, table.topic, 0, 1), ("d", 1, 5, table.topic, 0, 2)]
    assert all(one["ingested_at"] and one["cdc_timestamp"] and one["binlog_file"] for one in rows)
    assert not lake.path().exists()


def test_truncate(lake):
    """It empties the table; what comes behind it in the same batch is there."""
    table = Table()
    lake.write([table], {**HARD, "on_truncate": "apply"})
    lake.replay([table.create(row(1)), table.create(row(2))])
    lake.replay([table.create(row(3)), table.truncate(), table.create(row(2, 4))])
    assert lake.rows("id, name, amount") == {2: row(2, 4)}


def test_letters(lake, tmp_path):
    """A value that the column does not hold: its record alone is a letter, and what it covered counts."""
    table = Table(columns={"id": INT, "seen": {"type": "string", "name": "io.debezium.time.ZonedTimestamp"}})
    lake.write([table], HARD)
    letters = tmp_path / "letters.jsonl"
    lake.replay([table.create({"id": 1, "seen": "2025-01-01T00:00:00Z"}), table.create({"id": 2, "seen": "infinity"}),
                 table.update(None, {"id": 1, "seen": "2025-01-01T00:00:00.1234567Z"}),
                 table.create({"id": 3, "seen": "1969-12-31T23:59:59.999999+00:00"})], letters=letters)
    assert {number: found["seen"] for number, found in lake.rows("id, seen").items()} == {
        1: "2025-01-01 00:00:00+00:00", 3: "1969-12-31 23:59:59.999999+00:00"}
    assert {letter["offset"] for letter in read_lines(letters)} == {1, 2}


@pytest.mark.parametrize("mode", ["history", "upsert"])
def test_a_value_that_parts_no_table(lake, tmp_path, mode):
    """An empty text, which Delta Lake reads as NULL where it parts a table: a letter, also of rows that are appended."""
    table = Table(columns={"id": INT, "region": TEXT})
    name = "items_cdc" if mode == "history" else "items"
    lake.write([table], {**({} if mode == "history" else HARD), "mode": mode},
               target={"partition_by": {name: "region"}})
    letters = tmp_path / "letters.jsonl"
    lake.replay([table.create({"id": 1, "region": "a"}), table.create({"id": 2, "region": ""}),
                 table.create({"id": 3, "region": None})], letters=letters)
    assert {row["id"]: row["region"] for row in lake.seen("id, region", name)} == {1: "a", 3: None}
    assert [(letter["offset"], "empty text" in str(letter)) for letter in read_lines(letters)] == [(1, True)]


def sorted_files(lake):
    """Rows stand in the order of sort_by within a file, also once files were put together."""
    table = Table()
    lake.write([table], HARD, target={"sort_by": {"items": "amount"}, "maintenance": {"small_files": 3}})
    for start in range(0, 60, 20):
        lake.replay([table.create(row(number, number * 37 % 101)) for number in range(start, start + 20)])
    assert len(lake.ask("files")) == 1, "they were put together"
    amounts = [found["amount"] for found in lake.ask(lake.readers[0], columns="amount")]
    assert len(amounts) == 60 and amounts == sorted(amounts)


def test_sorted_files(lake):
    sorted_files(lake)


def names_by_template(lake):
    """Of namespaces, tables and histories; two databases' tables of one name stay apart."""
    shop, other = Table(), Table(database="depot")
    lake.write([shop], {**HARD, "mode": "both", "schema": "${db}_lake", "target": "${schema}_${table}",
                        "history": {"name": "log.${topic}"}}, topics=[r"^src\..*"])
    lake.replay([shop.create(row(1)), other.create(row(1, 5)), other.create(row(2)), other.delete(row(2))])
    found = {}
    for name in ("shop_lake/shop_items", "depot_lake/depot_items", "log/src.shop.items", "log/src.depot.items"):
        seen = [sorted((one["id"], one["amount"]) for one in lake.reader.rows(lake.folder / name, "id, amount", reader))
                for reader in lake.readers]
        assert seen[0] == seen[1]
        found[name] = seen[0]
    assert found == {"shop_lake/shop_items": [(1, 0)], "depot_lake/depot_items": [(1, 5)],
                     "log/src.shop.items": [(1, 0)], "log/src.depot.items": [(1, 5), (2, 0), (2, 0)]}
    assert {place.name for place in lake.folder.iterdir() if place.is_dir()} == {
        "shop_lake", "depot_lake", "log", "_ods_sink"}


def test_names_by_template(lake):
    names_by_template(lake)


def test_a_template_with_a_name_that_is_none(sink, tmp_path):
    sink.write(pipeline(Table(), defaults={"target": "${tabel}"}),
               targets=[{"name": "ods", "type": "delta", "location": str(tmp_path / "lake")}])
    said = sink.check(expect=Exit.CONFIG)
    line, = (line for line in (said.stdout + said.stderr).splitlines() if "'tabel'" in line)
    assert re.search(r"tables\.yaml:\d+: ", line) and "${topic}, ${db}, ${schema} and ${table}" in line


def debezium(name, type="string", **parameters):
    return {"type": type, "name": name, "version": 1, "parameters": parameters}


def decimal(precision, scale=0):
    return debezium("org.apache.kafka.connect.data.Decimal", "bytes", scale=str(scale), **{
        "connect.decimal.precision": str(precision)})


def unscaled(number):
    """The value of a decimal in a record."""
    if number is None:
        return None
    return base64.b64encode(number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)).decode()


def structure(name, **fields):
    return {"type": "struct", "name": name, "version": 1,
            "fields": [{**schema, "optional": True, "field": field} for field, schema in fields.items()]}


# column: its schema in the record, the value there; the column's type in the table, the value that is read.
TYPES = {
    "flag": ({"type": "boolean"}, True, "bool", True),
    "tiny": ({"type": "int8"}, -128, "int32", -128),
    "small": ({"type": "int16"}, 32767, "int32", 32767),
    "big": (BIGINT, -2**63, "int64", -2**63),
    "real": ({"type": "float"}, 0.5, "float", 0.5),
    "double": (DOUBLE, 0.1, "double", 0.1),
    "price": (debezium("org.apache.kafka.connect.data.Decimal", "bytes", scale="2", **{
        "connect.decimal.precision": "10"}), "AN4=", "decimal128(10, 2)", "2.22"),
    "huge": (debezium("org.apache.kafka.connect.data.Decimal", "bytes", scale="3", **{
        "connect.decimal.precision": "60"}), "BfXh", "string", "390.625"),
    "free": ({"type": "struct", "name": "io.debezium.data.VariableScaleDecimal", "version": 1, "fields": [
        {"type": "int32", "optional": False, "field": "scale"}, {"type": "bytes", "optional": False, "field": "value"}]},
        {"scale": 3, "value": "AQ=="}, "string", "0.001"),
    "bytes": ({"type": "bytes"}, "AP8=", "binary", "00ff"),
    "day": (debezium("io.debezium.time.Date", "int32"), 19782, "date32[day]", "2024-02-29"),
    "clock": (debezium("io.debezium.time.MicroTime", "int64"), -3020399000000, "string", "-838:59:59"),
    "ms": (debezium("io.debezium.time.Timestamp", "int64"), -1, "timestamp[us]", "1969-12-31 23:59:59.999000"),
    "us": (debezium("io.debezium.time.MicroTimestamp", "int64"), 1, "timestamp[us]", "1970-01-01 00:00:00.000001"),
    "ns": (debezium("io.debezium.time.NanoTimestamp", "int64"), 1234567, "string", "1970-01-01 00:00:00.001234567"),
    "moment": (debezium("io.debezium.time.ZonedTimestamp"), "2024-06-01T12:00:00.000001+02:00",
               "timestamp[us, tz=UTC]", "2024-06-01 10:00:00.000001+00:00"),
    "zoned": (debezium("io.debezium.time.ZonedTime"), "10:00:00+02:00", "string", "10:00:00+02"),
    "lapse": (debezium("io.debezium.time.MicroDuration", "int64"), 90061000000, "string", "25:01:01"),
    "span": (debezium("io.debezium.time.Interval"), "P1Y2M3DT4H5M6.78S", "string", "P1Y2M3DT4H5M6.78S"),
    "year": (debezium("io.debezium.time.Year", "int32"), 2024, "int32", 2024),
    "bits": (debezium("io.debezium.data.Bits", "bytes", length="4"), "BQ==", "string", "0101"),
    "json": (debezium("io.debezium.data.Json"), '{"a": [1, 2.50]}', "string", '{"a": [1, 2.50]}'),
    "xml": (debezium("io.debezium.data.Xml"), "<a/>", "string", "<a/>"),
    "uuid": (debezium("io.debezium.data.Uuid"), "0e3a8dc6-55a1-44e0-8e5a-8b7a6a8bd2f0", "string",
             "0e3a8dc6-55a1-44e0-8e5a-8b7a6a8bd2f0"),
    "mood": (debezium("io.debezium.data.Enum", allowed="sad,glad"), "glad", "string", "glad"),
    "tags": (debezium("io.debezium.data.EnumSet", allowed="a,b"), "a,b", "string", "a,b"),
    "list": ({"type": "array", "items": {"type": "int32", "optional": True}}, [1, None, 3], "string", "[1,null,3]"),
    "map": ({"type": "map", "keys": TEXT, "values": {"type": "string", "optional": True}}, {"k": "v"}, "string",
            '{"k": "v"}'),
    "unsigned": (decimal(20), "AP//////////", "decimal128(20, 0)", str(2**64 - 1)),
    "most": (decimal(38), "SztMqFqGxHoJiiI//////w==", "decimal128(38, 0)", str(10**38 - 1)),
    "least": (decimal(38), "tMSzV6V5O4X2dd3AAAAAAQ==", "decimal128(38, 0)", str(1 - 10**38)),
    "clock_ms": (debezium("io.debezium.time.Time", "int32"), 86399999, "string", "23:59:59.999"),
    "clock_ns": (debezium("io.debezium.time.NanoTime", "int64"), 1, "string", "00:00:00.000000001"),
    "iso_day": (debezium("io.debezium.time.IsoDate"), "2024-02-29Z", "date32[day]", "2024-02-29"),
    "iso_clock": (debezium("io.debezium.time.IsoTime"), "10:00:00.5Z", "string", "10:00:00.5"),
    "iso_moment": (debezium("io.debezium.time.IsoTimestamp"), "2024-02-29T10:00:00.000001Z", "timestamp[us]",
                   "2024-02-29 10:00:00.000001"),
    "lapse_ns": (debezium("io.debezium.time.NanoDuration", "int64"), 1500, "string", "00:00:00.0000015"),
    "tree": (debezium("io.debezium.data.Ltree"), "a.b", "string", "a.b"),
    "words": (debezium("io.debezium.data.Tsvector"), "'a':1", "string", "'a':1"),
    "point": (structure("io.debezium.data.geometry.Point", x=DOUBLE, y=DOUBLE, wkb={"type": "bytes"}, srid=INT),
              {"x": 1.5, "y": -2.0, "wkb": None, "srid": None}, "string", "(1.5,-2)"),
    "struct": (structure("a.pair", a=INT, b=TEXT), {"a": 1, "b": "x"}, "string", '{"a": 1, "b": "x"}'),
    "vector": ({"type": "array", "name": "io.debezium.data.FloatVector", "items": {"type": "float"}}, [0.5, 1], "string", "[0.5, 1]"),
    "prices": ({"type": "array", "items": decimal(10, 2)}, ["AN4=", None], "string", "[2.22,null]"),
}


def test_types(lake):
    """Each kind of value as two readers see it, and NULL."""
    table = Table(columns={"id": INT, **{name: schema for name, (schema, *_) in TYPES.items()}})
    lake.write([table], HARD)
    lake.replay([table.create({"id": 1, **{name: sent for name, (_, sent, *_) in TYPES.items()}}),
                 table.create({"id": 2})])
    for reader in READERS:
        first, second = sorted(lake.reader.rows(lake.path(), "*", reader), key=lambda one: one["id"])
        assert {name: first[name] for name in TYPES} == {name: read for name, (*_, read) in TYPES.items()}, reader
        assert {second[name] for name in TYPES} == {None}, reader
    types = lake.described()["types"]
    assert {name: types[name] for name in TYPES} == {name: type for name, (_, _, type, _) in TYPES.items()}


# ---- columns -------------------------------------------------------------------------------------

def test_columns_change(lake):
    """A column is added, one is widened, and one that nothing holds both of gets another beside it."""
    table = Table(columns={"id": INT, "amount": INT})
    lake.write([table], {**HARD, "evolve": "full"})
    lake.replay([table.create({"id": 1, "amount": 1})])
    table.columns = {"id": INT, "amount": BIGINT, "note": TEXT}
    lake.replay([table.create({"id": 2, "amount": 2**40, "note": "new"})])
    table.columns = {"id": INT, "amount": TEXT, "note": TEXT}
    lake.replay([table.create({"id": 3, "amount": "many", "note": None}),
                 table.update(None, {"id": 1, "amount": "one", "note": "x"})])
    rows = lake.rows("id, amount, note, amount__v2")
    assert {number: tuple(found.values())[1:] for number, found in rows.items()} == {
        1: (1, "x", "one"), 2: (2**40, "new", None), 3: (None, None, "many")}


def test_column_added_by_default(lake):
    table = Table(columns={"id": INT, "amount": INT})
    lake.write([table], HARD)
    first = [table.create({"id": 1, "amount": 1})]
    table.columns = {"id": INT, "amount": INT, "rate": DOUBLE}
    lake.replay([*first, table.create({"id": 2, "amount": 2, "rate": 0.5})])
    assert {number: found["rate"] for number, found in lake.rows("id, rate").items()} == {1: None, 2: 0.5}
    assert lake.described()["types"]["rate"] == "double"


# ---- faults --------------------------------------------------------------------------------------

STEPS = ("data", "deletes", "changes", "commit", "committed")


def two_tables():
    """Records of two tables in one batch, in which all steps of a commit occur, and what they come to."""
    items, others = Table(), Table(name="others")
    first = [one.create(row(number)) for number in range(20) for one in (items, others)]
    second = [one.update(None, row(number, 5)) for number in range(5) for one in (items, others)]
    second += [one.delete(row(number)) for number in range(5, 8) for one in (items, others)]
    state = {number: row(number, 5 if number < 5 else 0) for number in range(20) if not 5 <= number < 8}
    return items, others, first, second, state


# At which time each process comes to a step it is killed: in the first table's commit, the second's, and that of the
# offsets, which has no rows. What was committed before is not done again.
KILLS = {"data": (1, 2), "deletes": (1, 2), "changes": (1, 2), "commit": (1, 2, 2), "committed": (1, 1, 1)}


@pytest.mark.parametrize("step", STEPS)
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
        kinds = [change["_change_type"] for change in lake.changes(table, first=2)]
        assert kinds.count("delete") == 3 and kinds.count("update_postimage") == 5, "written twice"


@pytest.mark.parametrize("fault", ["lost:commit:1", "lost:commit:2;lost:commit:3", "retry:data:1;retry:commit:1",
                                   "retry:changes:1;lost:commit:1"])
def test_lost_answers_and_outages(lake, fault):
    """Settled by what the table says; the process goes on."""
    items, others, first, second, state = two_tables()
    lake.write([items, others], HARD)
    lake.replay(first)
    lake.replay(second, env={"ODS_LAKE_FAULT": fault})
    for table in ("items", "others"):
        assert lake.rows("id, name, amount", table) == state
        assert len(lake.changes(table, first=2)) == 3 + 2 * 5, "written twice"


def test_compaction(lake):
    """Small files become one, while records come; the rows and older versions stay."""
    table = Table()
    lake.write([table], HARD, batch={"max_events": 5},
               target={"maintenance": {"small_files": 4, "checkpoint_every": 5, "busy_percent": 100}})
    done = lake.replay([table.create(row(number)) for number in range(100)] +
                       [table.update(None, row(number, 1)) for number in range(0, 100, 3)])
    assert "compacted" in done.stderr
    assert lake.rows("id, amount") == {number: {"id": number, "amount": int(number % 3 == 0)}
                                       for number in range(100)}
    described = lake.described()
    assert described["version"] > 27 and described["files"] < 8
    kinds = [change["_change_type"] for change in lake.changes()]
    assert kinds.count("insert") == 100 and kinds.count("update_postimage") == 34 and len(kinds) == 168
    assert list((lake.path() / "_delta_log").glob("*.checkpoint*"))


def test_an_error_of_the_engines_own_in_maintenance(lake):
    """It is told, and the batches after it have a table that is opened anew."""
    table = Table()
    lake.write([table], HARD, batch={"max_events": 5},
               target={"maintenance": {"small_files": 4, "busy_percent": 100}})
    done = lake.replay([table.create(row(number)) for number in range(100)], env={"ODS_LAKE_FAULT": "panic:compact:1"})
    assert "error of its own" in done.stderr and "compacted" in done.stderr
    assert lake.rows("id") == {number: {"id": number} for number in range(100)}


@pytest.mark.parametrize("percent", [10, 100])
def test_putting_files_together_leaves_time_for_commits(lake, percent):
    """One that takes 1.5 s is followed by none for 13.5 s, of 10 percent."""
    table = Table()
    lake.write([table], HARD, batch={"max_events": 5},
               target={"maintenance": {"small_files": 4, "busy_percent": percent}})
    done = lake.replay([table.create(row(number)) for number in range(100)], env={"ODS_LAKE_FAULT": "wait:compact:1"})
    times = len(re.findall(r'"read_files":\s*[1-9]', done.stderr))
    assert times == 1 if percent == 10 else times > 1, done.stderr
    assert lake.rows("id") == {number: {"id": number} for number in range(100)}


def test_files_that_wait_are_put_together_without_rows(lake, kafka, prefix):
    """One table's take 1.5 s, and those of the other wait for as long again."""
    tables = Table(prefix=prefix), Table("others", prefix=prefix)
    for table in tables:
        kafka.create(table.topic, 1)
    lake.sink.write(pipeline("", topics=[table.topic for table in tables], defaults=HARD), kafka=True, lanes=1,
                    targets=[lake.target(maintenance={"small_files": 4})])
    daemon = lake.sink.daemon(env={"ODS_LAKE_FAULT": "wait:compact:1"})
    for number in range(4):
        kafka.produce([table.create(row(number)) for table in tables])
        daemon.await_that(lambda rows=2 * number + 2: daemon.metric("ods_sink_changes_total") == rows)
    daemon.await_that(lambda: len(re.findall(r'"read_files":\s*4', daemon.log())) == 2, what="both were put together")
    daemon.stop()
    for table in tables:
        assert lake.described(table.name)["files"] == 1 and len(lake.rows("id", table.name)) == 4


def test_a_table_without_rows_has_its_turn(lake, kafka, table):
    """By the clock, with what is not due after a commit; and it is not written where there is nothing to do."""
    maintenance = {"checkpoint_every": 10000, "every": "1s"}
    if lake.kind == "iceberg":
        maintenance |= {"snapshots": 2, "keep_for": "0s"}
    lake.sink.write(pipeline(table, defaults=HARD), kafka=True,
                    targets=[lake.target(maintenance=maintenance)])
    daemon = lake.sink.daemon()
    for commit in range(4):
        kafka.produce([table.create(row(number)) for number in range(10 * commit, 10 * commit + 10)])
        daemon.await_that(lambda rows=10 * commit + 10: daemon.metric("ods_sink_lake_rows") == rows)

    def maintained():
        if lake.kind == "delta":
            return bool(list((lake.path(table.name) / "_delta_log").glob("*.checkpoint*")))
        return len(lake.described(table.name)["snapshots"]) == 2

    daemon.await_that(lambda: maintained() and "maintenance:" in daemon.log())
    assert daemon.metric("ods_sink_lake_rows") == daemon.metric("ods_sink_lake_index_keys") == 40
    assert daemon.metric("ods_sink_lake_commits_total") >= 4 and daemon.metric("ods_sink_lake_files") > 1
    files = sorted(path.name for path in lake.path(table.name).rglob("*") if path.is_file())
    turns = daemon.log().count("maintenance:")
    time.sleep(12)  # two more
    assert sorted(path.name for path in lake.path(table.name).rglob("*") if path.is_file()) == files
    assert daemon.log().count("maintenance:") == turns
    assert len(lake.rows("id", table.name)) == 40
    daemon.stop()


def test_one_process_maintains(lake):
    """Each table; where its owner dies, the others wait for its lease to end, and where it stops for nothing."""
    first, step = lake.folder, 40

    def replay(table, records, lease, **options):
        """The records of before, which are there, and more: enough to be put together."""
        lake.write([table], HARD, batch={"max_events": 5}, target={"maintenance": {"small_files": 4, "lease": lease}})
        records.extend(table.create(row(number)) for number in range(len(records), len(records) + step))
        return lake.replay(records, **options)

    killed = {"env": {"ODS_LAKE_FAULT": "kill:commit:14"}, "expect": None}
    items, others = (Table(), []), (Table("others"), [])
    done = replay(*items, "1h", **killed)
    assert done.returncode == -9 and "compacted" in done.stderr
    assert "compacted" not in replay(*items, "1h").stderr
    assert "compacted" in replay(*others, "1h").stderr
    items, lake.folder = (Table(), []), first / "other"
    assert replay(*items, "1s", **killed).returncode == -9
    time.sleep(1.1)
    assert "compacted" in replay(*items, "1h").stderr
    assert "compacted" in replay(*items, "1h").stderr
    assert "compacted" in replay(*items, "0s").stderr  # each does
    assert len(lake.rows("id")) == 4 * step


def test_figures_of_who_does_not_maintain(lake, kafka, table):
    lake.sink.write(pipeline(table, defaults={"mode": "history"}), kafka=True,
                    targets=[lake.target(maintenance={"enabled": False})])
    daemon = lake.sink.daemon()
    for rows in (2, 4):
        kafka.produce([table.create(row(rows)), table.create(row(rows + 1))])
        daemon.await_that(lambda rows=rows: daemon.metric("ods_sink_lake_rows") == rows)
    daemon.stop()


def number_of_kills():
    return int(os.environ.get("ODS_LAKE_KILLS", size("LAKE_KILLS", 4, 100)))


KILLS_S = max(300, 15 * number_of_kills())


@pytest.mark.timeout(KILLS_S)
def test_kills(lake, kafka, table):
    """kill -9 whenever it pleases: nothing lost, nothing twice. ODS_LAKE_KILLS says how often."""
    kills, choose = number_of_kills(), random.Random(1)
    lake.sink.write(pipeline(table, defaults=HARD), kafka=True, kafka_properties={
        "session.timeout.ms": "1000", "heartbeat.interval.ms": "200"},
        targets=[{"name": "ods", "type": "delta", "location": str(lake.folder), "commit_ms": 30}])
    sent = Sent(table)
    daemon = lake.sink.daemon()
    for _ in range(kills):
        for _ in range(150):
            number, amount = choose.randrange(300), choose.randrange(1000)
            if number in sent.state and choose.random() < 0.2:
                sent.take(number)
            else:
                sent.put(row(number, amount))
        version = described_version(lake)
        kafka.produce(sent.file())
        daemon.await_that(lambda: described_version(lake) != version, 60, "a commit")
        daemon.kill()
        daemon = lake.sink.daemon()
    daemon.await_that(lambda: lake.read("id, name, amount") == sent.state, 60, "all of it is there")
    daemon.await_ready().stop()
    assert lake.rows("id, name, amount") == sent.state
    said = lake.sink.run("changes", f"delta://{lake.path()}", "--from-version", "0", "--json").stdout
    assert applied(map(json.loads, said.splitlines())) == sent.state, "the changes lead to other rows"
    feed_as_sent(lake.changes(), lake.path() / "_delta_log", sent)
    keep("delta", "kill", 1, kills, 150 * kills, len(sent.state))


def described_version(lake):
    try:
        return lake.described()["version"]
    except Missing:
        return None


def test_offsets_are_kept_with_the_rows(lake):
    """A table's own commits say how far it is, so another reader may check it."""
    table = Table()
    lake.write([table], HARD)
    lake.replay([table.create(row(1)), table.create(row(2))])
    stored = lake.reader.ask("offset", lake.path(), id=f"ods:test.items:{table.topic}:0")
    assert stored == 2
    log = sorted((lake.path() / "_delta_log").glob("*.json"))[-1].read_text()
    assert any("ods.commit" in json.dumps(json.loads(line)) for line in log.splitlines())
