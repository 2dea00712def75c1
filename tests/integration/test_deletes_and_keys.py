"""A delete is applied, or a dead letter, or the configuration says that it is passed over; and keys
that are no JSON object, or that differ from the one that tables.yaml names.

Cases of one kind share a database and a replay: each has its topics, and says what it must come to.
"""

import json
from pathlib import Path

import pytest

from conftest import GOLDEN  # noqa: F401  (the tests' folder is importable)
from lib.records import INT, SHAPES, TEXT, Table, pipeline
from lib.sink import read_lines

REPORTED = Path(__file__).parent / "reported"
CDC = "cdc_operation text, cdc_timestamp timestamptz"
ENVELOPES = [shape for shape, (flat, _) in SHAPES.items() if not flat]
FLAT = [shape for shape, (flat, _) in SHAPES.items() if flat]


def header(letter, name):
    pairs = letter["headers"]
    return dict(zip(pairs[::2], pairs[1::2]))[name]


class Case:
    """Records of one topic in one or more runs, and what the table and the letters must be."""

    def __init__(self, name, *runs, rows=(), letters=(), tables=None, create=None, table=None,
                 topic=None, passed=None):
        self.name, self.runs, self.rows = name, [list(run) for run in runs], list(rows)
        self.letters, self.tables, self.create = list(letters), tables or {}, create
        self.table, self.topic, self.passed = table or name, topic, passed


def raw(topic, offset, key, value, partition=0):
    text = value if value is None or isinstance(value, str) else json.dumps(value)
    return {"topic": topic, "partition": partition, "offset": offset, "tstype": "create",
            "ts": 1_760_000_000_000 + offset, "headers": [], "key": key, "payload": text}


def run_cases(sink, database, cases, **settings):
    """Each case's table is named as the case; its rows are (id, v) in order."""
    for case in cases:
        if case.create is not None:
            database.execute(case.create or f'create table "{case.table}" '
                             f"(id int primary key, v text, {CDC})")
    tables = {name: entry for case in cases for name, entry in case.tables.items()}
    sink.write(pipeline("^.*", tables=tables, **{
        "defaults": {"on_delete": "hard", "evolve": "widen"}, **settings}), database=database)
    path = sink.folder / "letters.jsonl"
    path.unlink(missing_ok=True)
    summaries = []
    for number in range(max(len(case.runs) for case in cases)):
        records = [record for case in cases if number < len(case.runs)
                   for record in case.runs[number]]
        summaries.append(sink.replay(records, dead_letter=path)["pipelines"][0])
    letters = read_lines(path) if path.exists() else []
    wrong = []
    for case in cases:
        topics = {record["topic"] for run in case.runs for record in run}
        reasons = [header(letter, "ods.error") for letter in letters
                   if header(letter, "ods.topic") in topics]
        exists = database.value(f"select to_regclass('public.\"{case.table}\"')::text")
        query = f'select id, v from "{case.table}" order by id, v'
        rows = database.execute(query) if exists else []
        fits = len(reasons) == len(case.letters) and all(
            part in reason for reason, part in zip(reasons, case.letters))
        if rows != case.rows or not fits:
            wrong.append((case.name, rows, reasons))
    assert not wrong, "\n".join(map(str, wrong))
    return summaries


def flat(number, v="x", op="c", **meta):
    return {"id": number, "v": v, "__op": op, "__source_ts_ms": 1_760_000_000_000 + number, **meta}


def key(number):
    return json.dumps({"id": number})


COLUMNS = {"id": INT, "v": TEXT}


def source(name, **options):
    return Table(name, columns=COLUMNS, **options)


def row(number, v="x"):
    return {"id": number, "v": v}


def without_before(record):
    value = json.loads(record["payload"])
    (value["payload"] if "schema" in value else value)["before"] = None
    return {**record, "payload": json.dumps(value)}


# --- 1. tombstones -------------------------------------------------------------------------------

UNTOLD = "the table of this delete can't be told"


def routed(name, *values, start=0):
    """Records of a topic that is not named after its table."""
    return [raw(f"{name}-v2", start + at, *value) for at, value in enumerate(values)]


def tombstone_cases():
    cases = []
    for number, (kept, entry, letters) in enumerate([
            ([(1, "x"), (2, "x")], None, [UNTOLD]),
            ([(2, "x")], "name", []),
            ([(2, "x")], "pattern", [])]):
        name = f"routed{number}"
        tables = {} if not entry else {
            name: {"topics": [f"{name}-v2" if entry == "name" else f"^{name}-v[0-9]+$"]}}
        records = routed(name, (key(1), flat(1, __table=name)), (key(2), flat(2, __table=name)),
                         (key(1), None))
        cases.append(Case(name, records[:2], records, rows=kept, letters=letters, tables=tables,
                          create=""))
        cases.append(Case(f"{name}a", routed(f"{name}a", *[
            (key(1), flat(1, __table=f"{name}a")), (key(2), flat(2, __table=f"{name}a")),
            (key(1), None)]), rows=kept, letters=letters, create="",
            tables={f"{name}a": {"topics": [f"{name}a-v2"]}} if entry else {}))
    # A flattened row that does not name its table, in a topic that tables.yaml gives one.
    cases.append(Case("unnamed", routed("unnamed", (key(1), flat(1)), (key(2), flat(2)),
                                        (key(1), None)), rows=[(2, "x")],
                      tables={"unnamed": {"topics": ["unnamed-v2"]}}))
    # A row that names another table than the one that the topic carries by tables.yaml.
    cases.append(Case("other", routed("other", (key(1), flat(1, __table="elsewhere"))), rows=[],
                      letters=["carries only other"],
                      tables={"other": {"topics": ["other-v2"]}}))
    # Qualified entries: of two tables of the name only one is the topic's.
    cases.append(Case("qualified", routed("qualified", (key(1), flat(1, __table="qualified")),
                                          (key(1), None)),
                      rows=[], tables={"shop.qualified": {"topics": ["qualified-v2"]}}))
    # Configured away: by itself, for a table, and where deletes are ignored.
    cases.append(Case("ignored", routed("ignored", (key(1), flat(1, __table="ignored")),
                                        (key(1), None)), rows=[(1, "x")],
                      tables={"ignored": {"topics": ["ignored-v2"], "on_tombstone": "ignore"}}))
    cases.append(Case("kept", routed("kept", (key(1), flat(1, __table="kept")), (key(1), None)),
                      rows=[(1, "x")], tables={"kept": {"topics": ["kept-v2"],
                                                        "on_delete": "ignore"}}))
    # Without a key there is no row to name.
    cases.append(Case("keyed", routed("keyed", (key(1), flat(1, __table="keyed")), (None, None),
                                      ("", None)), rows=[(1, "x")],
                      letters=["its key is null", "its key is null"],
                      tables={"keyed": {"topics": ["keyed-v2"]}}))
    # The topic's name in Debezium's form is a table's, or a table that the target does not have.
    table = source("named", shape="flat-plain")
    cases.append(Case("named", [table.create(row(1)), table.create(row(2)),
                                table.tombstone(row(1))], rows=[(2, "x")]))
    cases.append(Case("absent", [raw("src.shop.absent_v2", 0, key(1), flat(1, __table="absent")),
                                 raw("src.shop.absent_v2", 1, key(1), None)], rows=[(1, "x")],
                      letters=[UNTOLD]))
    # tables.yaml says that it is this table, and there is none yet: no row to delete.
    cases.append(Case("early", routed("early", (key(1), None), (key(2), flat(2, __table="early"))),
                      rows=[(2, "x")], tables={"early": {"topics": ["early-v2"]}}))
    # The key's schema names it, whatever the topic is called and whatever characters it has.
    for name in ("order-items", "order_lines", "order$x"):
        table = source(name, shape="flat")
        records = [table.create(row(1)), table.create(row(2)), table.tombstone(row(1))]
        for record in records:
            record["topic"] = "to." + name.replace("$", "_") + ".any"
            record["key"] = record["key"].replace(f"{table.topic}.Key",
                                                  "src.shop." + "".join(
                                                      c if c.isalnum() else "_" for c in name)
                                                  + ".Key")
        cases.append(Case(name, records, rows=[(2, "x")], tables={name: {}}))
    return cases


def test_tombstones(sink, database):
    run_cases(sink, database, tombstone_cases())


@pytest.mark.parametrize("part", ["one run", "two runs"])
def test_reported_tombstone(sink, database, part):
    """Of a topic that is not named after its table, after a restart and without one."""
    database.execute(f"create table orders (id int primary key, v text, {CDC})")
    first, second = (read_lines(REPORTED / f"c55.part{n}.jsonl") for n in (1, 2))
    for tables, kept, letters in (({}, [1, 2], 1), ({"orders": {"topics": ["c55-orders-v2"]}}, [2],
                                                    0)):
        database.execute("truncate orders; drop schema if exists ods_sink cascade")
        sink.write(pipeline("^c55", defaults={"on_delete": "hard"}, tables=tables),
                   database=database)
        path = sink.folder / "letters.jsonl"
        path.unlink(missing_ok=True)
        for records in ([first, second] if part == "two runs" else [second]):
            sink.replay(records, dead_letter=path)
        assert [n for n, in database.execute("select id from orders order by id")] == kept
        assert len(read_lines(path) if path.exists() else []) == letters


@pytest.mark.parametrize("shape", SHAPES)
def test_tombstones_behind_deletes(sink, database, shape):
    """Behind its delete a tombstone says nothing, also in another run; behind what came after the
    delete it does, and what is too far away is not looked at."""
    cases = []
    for number, between in enumerate((0, 3, 15, 16, 40)):
        table = source(f"far{number}", shape=shape)
        table.topic = f"far{number}-topic"  # a tombstone by itself is a letter
        create, delete = table.create(row(1)), table.delete(row(1))
        others = [table.create(row(10 + n)) for n in range(between)]
        behind = table.tombstone(row(1))
        everything = [create, delete, *others, behind]
        kept = [(10 + n, "x") for n in range(between)]
        cases.append(Case(f"far{number}", everything[:-1], everything, rows=kept,
                          letters=[UNTOLD] if between > 15 else []))
    table = source("again", shape=shape)
    table.topic = "again-topic"
    cases.append(Case("again", [table.create(row(1)), table.delete(row(1)), table.create(row(1)),
                                table.tombstone(row(1))], rows=[(1, "x")], letters=[UNTOLD]))
    table = source("twice", shape=shape)
    table.topic = "twice-topic"
    cases.append(Case("twice", [table.create(row(1)), table.delete(row(1)), table.tombstone(row(1)),
                                table.tombstone(row(1))], rows=[]))
    table = source("partitions", shape=shape)
    table.topic = "partitions-topic"
    cases.append(Case("partitions", [table.create(row(1)), table.delete(row(1)),
                                     table.tombstone(row(1), partition=1)], rows=[],
                      letters=[UNTOLD]))
    table = source("keyless", shape=shape, key=())
    table.topic = "keyless-topic"
    cases.append(Case("keyless", [table.create(row(1)), table.delete(row(1)),
                                  table.record(None, None)], rows=[],
                      tables={"keyless": {"key": ["id"]}}))
    run_cases(sink, database, cases)


# --- keys that are no object ---------------------------------------------------------------------

def typed(kind, value, **schema):
    return json.dumps({"schema": {"type": kind, "optional": False, **schema}, "payload": value})


def test_keys_of_one_value(sink, database):
    """As the column of a configured key of one column, of rows that lack it and of tombstones."""
    integer = "id int primary key"
    cases = []
    for number, (text, column, value) in enumerate([
            ("42", integer, 42), (" 42 ", integer, 42), (typed("int32", 42), integer, 42),
            (typed("int64", 42), "id bigint primary key", 42), ('"a1"', "id text primary key", "a1"),
            ("a1", "id text primary key", "a1"),
            (typed("string", "a1"), "id text primary key", "a1"),
            ("007", "id text primary key", "007"), ('"42"', integer, 42),
            ("äö ü", "id text primary key", "äö ü"),
            ('say "hi"\\', "id text primary key", 'say "hi"\\'),
            ("6f9619ff-8b86-d011-b42d-00cf4fc964ff", "id uuid primary key",
             "6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
            ('{"schema":null,"payload":42}', integer, 42),
            (typed("int32", 20000, name="io.debezium.time.Date", version=1),
             "id date primary key", "2024-10-04")]):
        name = f"one{number}"
        other = "7" if "int" in column else '"00000000-0000-0000-0000-000000000007"' \
            if "uuid" in column else '"2020-01-01"' if "date" in column else '"b"'
        rows = [{"v": "x", "__op": "c", "__table": name}, {"v": "y", "__op": "c", "__table": name}]
        records = [raw(f"{name}-v2", 0, text, rows[0]), raw(f"{name}-v2", 1, other, rows[1]),
                   raw(f"{name}-v2", 2, text, {"v": "z", "__op": "u", "__table": name})]
        tables = {name: {"key": ["id"], "topics": [f"{name}-v2"]}}
        create = f"create table {name} ({column}, v text, {CDC})"
        cases.append(Case(name, records, [raw(f"{name}-v2", 3, text, None)], tables=tables,
                          create=create))
        cases[-1].value = value
    for case in cases:
        database.execute(case.create)
    tables = {name: entry for case in cases for name, entry in case.tables.items()}
    sink.write(pipeline("^.*", tables=tables, defaults={"on_delete": "hard"}), database=database)
    sink.replay([record for case in cases for record in case.runs[0]])
    for case in cases:
        found = database.execute(f"select id::text, v from {case.name} where v = 'z'")
        assert found == [(str(case.value), "z")], (case.name, found)
    sink.replay([record for case in cases for record in case.runs[1]])
    for case in cases:
        assert database.execute(f"select v from {case.name}") == [("y",)], case.name


def test_keys_that_cant_be_read(sink, database):
    """A row that has the key's columns is applied; one that lacks them, and a tombstone, are letters
    that say what was found."""
    cases = []
    for number, (text, found) in enumerate([
            ("Struct{id=42}", "Java object"), ('"Struct{id=42}"', "Java object"),
            ("[42]", "a JSON array"), ("[B@1f2e3d", "Java object"),
            ("\x01\x02", "bytes that are not text"),
            ('{"schema":null,"payload":[42]}', "a JSON array")]):
        name = f"bad{number}"
        full, lacking = flat(42, __table=name), {"v": "y", "__op": "c", "__table": name}
        cases.append(Case(name, routed(name, (text, full), (text, lacking), (text, None)),
                          rows=[(42, "x")], letters=[found, found], create="",
                          tables={name: {"key": ["id"], "topics": [f"{name}-v2"]}}))
    # A single value, and a key of two columns or none in tables.yaml.
    for name, entry, letters in (
            ("two", {"key": ["id", "v"]}, ["a single value"]),
            ("none", {}, ["a single value", "a single value"])):
        cases.append(Case(name, routed(name, ("42", flat(42, __table=name)), ("42", None)),
                          rows=[(42, "x")] if name == "two" else [], letters=letters,
                          create=f"create table {name} (id int, v text, {CDC}, primary key "
                                 f"({'id, v' if name == 'two' else 'id'}))",
                          tables={name: {**entry, "topics": [f"{name}-v2"]}}))
    # Deletes of the record's own words, whose row can't be named.
    for shape in ENVELOPES:
        table = source(f"d-{shape}", shape=shape, key=())
        create, delete = table.create(row(1)), without_before(table.delete(row(1)))
        cases.append(Case(f"d-{shape}", [create, delete],
                          rows=[(1, "x")], letters=["before"],
                          tables={f"d-{shape}": {"key": ["id"]}}))
    run_cases(sink, database, cases)


def test_deletes_of_tables_that_are_not_there(sink, database):
    """Where they are to be made there is no row; else it is a letter, or skipped by name."""
    cases = []
    for shape in SHAPES:
        for create, letters in ((True, []), (False, ["create_tables"])):
            table = source(f"gone-{shape}-{int(create)}", shape=shape)
            cases.append(Case(table.name, [table.delete(row(1))], letters=letters,
                              tables={table.name: {"create_tables": create}}))
    table = source("skipped")
    cases.append(Case("skipped", [table.delete(row(1))],
                      tables={"skipped": {"create_tables": False, "skip": True}}))
    run_cases(sink, database, cases)


# --- 2. a configured key that differs from the record's ------------------------------------------

REGIONS = {"id": INT, "region": TEXT, "v": TEXT}
KEY = {"key": ["id", "region"]}


def region_table(database, name):
    database.execute(f'create table "{name}" (id int, region text, v text, {CDC}, '
                     "primary key (id, region)) partition by list (region)")
    for region in ("us", "eu"):
        database.execute(f'create table "{name}_{region}" partition of "{name}" '
                         f"for values in ('{region}')")


def test_reported_key(sink, database):
    region_table(database, "ev")
    sink.write(pipeline("^c05b", defaults={"on_delete": "hard"}, tables={"ev": KEY}),
               database=database)
    path = sink.folder / "letters.jsonl"
    sink.replay(read_lines(REPORTED / "c05b.jsonl"), dead_letter=path)
    assert [n for n, in database.execute("select id from ev")] == [5]
    assert read_lines(path) == []


def regions(name, **options):
    return Table(name, columns=REGIONS, **options)


def at(number, region, v="x"):
    return {"id": number, "region": region, "v": v}


@pytest.mark.parametrize("on_delete", ["hard", "soft"])
@pytest.mark.parametrize("shape", ENVELOPES)
def test_a_changed_key_column_removes_the_old_row(sink, database, shape, on_delete):
    tables = [regions(name, shape=shape) for name in ("moves", "stays", "back", "bare", "keyless")]
    moves, stays, back, bare, keyless = tables
    keyless.key = ()
    for table in tables:
        region_table(database, table.name)
    records = [
        moves.create(at(1, "us")), moves.create(at(2, "us")),
        moves.update(at(1, "us"), at(1, "eu", "y")),
        stays.create(at(1, "us")), stays.update(at(1, "us"), at(1, "us", "y")),
        back.create(at(1, "us")), back.update(at(1, "us"), at(1, "eu")),
        back.update(at(1, "eu"), at(1, "us", "y")),
        bare.create(at(1, "us")), bare.update(None, at(1, "eu")), bare.delete(at(1, None)),
        bare.tombstone(at(1, None)),
        keyless.create(at(1, "us")), keyless.update(at(1, "us"), at(1, "eu")),
    ]
    sink.write(pipeline("^src", defaults={"on_delete": on_delete},
                        tables={table.name: KEY for table in tables}), database=database)
    path = sink.folder / "letters.jsonl"
    sink.replay(records, dead_letter=path)
    alive = "where cdc_operation <> 'd'" if on_delete == "soft" else ""
    shown = {table.name: database.execute(f'select id, region, v from "{table.name}" {alive} '
                                          "order by id, region") for table in tables}
    assert shown == {"moves": [(1, "eu", "y"), (2, "us", "x")], "stays": [(1, "us", "y")],
                     "back": [(1, "us", "y")], "bare": [(1, "us", "x")],
                     "keyless": [(1, "eu", "x")]}
    reasons = [header(letter, "ods.error") for letter in read_lines(path)]
    assert len(reasons) == 2 and all("REPLICA IDENTITY FULL" in reason for reason in reasons)
    if on_delete == "soft":
        assert database.count("moves", "cdc_operation = 'd' and region = 'us'") == 1


def test_both_or_neither(sink, database):
    """The new row has no place: the old one stays."""
    table = regions("ev")
    region_table(database, "ev")
    sink.write(pipeline(table, defaults={"on_delete": "hard"}, tables={"ev": KEY}),
               database=database)
    path = sink.folder / "letters.jsonl"
    sink.replay([table.create(at(1, "us")), table.update(at(1, "us"), at(1, "mars")),
                 table.create(at(2, "us"))], dead_letter=path)
    assert database.execute("select id, region from ev order by id") == [(1, "us"), (2, "us")]
    assert [header(letter, "ods.offset")
            for letter in read_lines(path)] == ["1"]


@pytest.mark.parametrize("shape", ENVELOPES)
def test_unchanged_values_that_are_not_sent(sink, database, shape):
    """They come from the before image; without one nobody knows them."""
    gone = "__debezium_unavailable_value"
    table = regions("ev", shape=shape)
    region_table(database, "ev")
    sink.write(pipeline(table, defaults={"on_delete": "hard"}, tables={"ev": KEY}),
               database=database)
    path = sink.folder / "letters.jsonl"
    sink.replay([
        table.create(at(1, "us", "long")), table.update(at(1, "us", "long"), at(1, "eu", gone)),
        table.create(at(2, "us")), table.update(at(2, gone), at(2, "eu")),
        table.create(at(3, "us", "long")), table.update(at(3, "us", gone), at(3, "eu", gone)),
        table.create(at(4, "us")), table.update(at(4, "us"), at(4, gone, "y")),
    ], dead_letter=path)
    assert database.execute("select id, region, v from ev order by id") == [
        (1, "eu", "long"), (2, "us", "x"), (3, "us", "long"), (4, "us", "y")]
    assert len(read_lines(path)) == 2


def test_deletes_that_lack_a_key_column(sink, database):
    """Of the configured key, or of the target's own: a letter, and the rows around it are applied."""
    records, tables = [], {}
    for shape in SHAPES:
        table = regions(f"lone-{shape}", shape=shape)
        tables[table.name] = KEY
        records += [table.create(at(1, "us")), table.tombstone(at(1, "us")),
                    table.create(at(2, "us"))]
    for shape in ENVELOPES:
        table = regions(f"bare-{shape}", shape=shape)
        tables[table.name] = KEY
        delete = without_before(table.delete(at(1, "us")))
        records += [table.create(at(1, "us")), {**delete, "offset": 1}, table.create(at(2, "us"))]
        records[-3]["offset"], records[-1]["offset"] = 0, 2
    table = regions("own", key=("id", "region"))
    tables["own"] = {}
    shorter = regions("own")
    records += [table.create(at(1, "us")), {**shorter.tombstone(at(1, "us")), "offset": 1},
                {**table.create(at(2, "us")), "offset": 2}]
    for name in tables:
        region_table(database, name)
    sink.write(pipeline("^src", defaults={"on_delete": "hard"}, tables=tables), database=database)
    path = sink.folder / "letters.jsonl"
    sink.replay(records, dead_letter=path)
    for name in tables:
        assert database.execute(f'select id from "{name}" order by id') == [(1,), (2,)], name
    assert sorted(header(letter, "ods.topic").rsplit(".", 1)[1] for letter in read_lines(path)) == \
        sorted(tables)


@pytest.mark.parametrize("shape", FLAT)
def test_flattened_updates(sink, database, shape):
    """With a key of its own an update is a letter; without one it is applied, and told once."""
    keyed, keyless, same = (regions(name, shape=shape) for name in ("keyed", "keyless", "same"))
    keyless.key, same.key = (), ("id", "region")
    for table in (keyed, keyless, same):
        region_table(database, table.name)
    sink.write(pipeline("^src", defaults={"on_delete": "hard"},
                        tables={name: KEY for name in ("keyed", "keyless", "same")}),
               database=database)
    path = sink.folder / "letters.jsonl"
    file = sink.file_of([
        keyed.create(at(1, "us")), keyed.update(None, at(1, "us", "y")), keyed.create(at(2, "us")),
        keyed.delete(at(2, "us")), keyed.tombstone(at(2, "us")),
        keyless.create(at(1, "us")), keyless.update(None, at(1, "us", "y")),
        keyless.update(None, at(1, "us", "z")),
        same.create(at(1, "us")), same.update(None, at(1, "us", "y"))])
    done = sink.run("replay", "-c", sink.conf, "--dead-letter", path, file)
    assert database.execute("select id, region, v from keyed") == [(1, "us", "x")]
    assert database.execute("select id, region, v from keyless") == [(1, "us", "z")]
    assert database.execute("select id, region, v from same") == [(1, "us", "y")]
    assert ["before image" in header(letter, "ods.error") for letter in read_lines(path)] == [True]
    assert done.stderr.count("leaves the old row") == 1


# --- 6. what only looks like an envelope ---------------------------------------------------------

LOOKALIKES = {
    "all columns": {"id": 1, "op": "u", "before": None, "after": None, "source": "web"},
    "op is a number": {"id": 1, "op": 3, "before": None, "after": {"a": 1}, "source": {"db": "x"}},
    "op is none of them": {"id": 1, "op": "sell", "before": None, "after": None, "source": None},
    "images are text": {"id": 1, "op": "c", "before": "09:00", "after": "10:00", "source": {}},
    "images are numbers": {"id": 1, "op": "d", "before": 1, "after": 2},
    "source is text": {"id": 1, "op": "c", "before": None, "after": {"id": 9}, "source": "web"},
    "a delete": {"id": 1, "op": "d", "before": None, "after": None},
    "a message": {"id": 1, "op": "m", "before": None, "after": None, "source": None},
    "a heartbeat": {"ts_ms": 5},
    "a change of schema": {"id": 1, "ddl": "x", "databaseName": "y"},
}


def lookalikes(meta):
    records = []
    for offset, value in enumerate(LOOKALIKES.values()):
        own = {"id": offset} if "id" in value else {}
        records.append(raw("src.shop.like", offset, key(offset), {**value, **meta, **own}))
    return records


COLUMNS_OF_LIKE = ("id int primary key, op text, before text, after text, source text, ts_ms bigint, "
                   "ddl text, \"databaseName\" text, " + CDC)


@pytest.mark.parametrize("how", ["metadata", "setting", "neither"])
def test_rows_that_look_like_envelopes(sink, database, how):
    database.execute(f"create table \"like\" ({COLUMNS_OF_LIKE})")
    settings = {"source": {"shape": "flattened"}} if how == "setting" else {}
    sink.write(pipeline("^src", defaults={"on_delete": "hard"}, **settings), database=database)
    path = sink.folder / "letters.jsonl"
    records = lookalikes({"__op": "c"} if how == "metadata" else {})
    # Before, between and behind real envelopes, which a topic's last record makes expected.
    real = Table("real", columns=COLUMNS, shape="envelope-plain")
    mixed = [] if how == "setting" else [
        {**real.create(row(offset)), "topic": "src.shop.like", "offset": offset + 100}
        for offset in range(len(records))]
    summary = sink.replay([*records, *mixed,
                           *({**record, "offset": record["offset"] + 200} for record in records)],
                          dead_letter=path)["pipelines"][0]
    letters = read_lines(path) if path.exists() else []
    if how == "neither":
        assert database.count('"like"') == 0
        assert len(letters) == 2 * len(records)
        assert all("expected a Debezium envelope" in header(letter, "ods.error")
                   for letter in letters)
    else:
        assert letters == []
        found = database.execute('select id, op, before, source from "like" order by id')
        assert len(found) == len(records) and found[1][1] == "3" and found[3][2] == "09:00"
        assert found[0][3] == "web"
    assert not summary["passed"]


def schema_of(name, columns):
    return {"type": "struct", "name": name, "optional": False, "fields": [
        {"type": "int32", "optional": False, "field": "id"}, *columns]}


def text_column(name):
    return {"type": "string", "optional": True, "field": name}


def struct_column(name, of="io.debezium.data.geometry.Point"):
    return {"type": "struct", "optional": True, "field": name, "name": of, "fields": [
        {"type": "double", "optional": False, "field": "x"},
        {"type": "double", "optional": False, "field": "y"}]}


def test_rows_with_schemas_that_look_like_envelopes(sink, database):
    """Names and types of fields: `.Value`, __op, __deleted, or source.shape."""
    point = {"x": 1.0, "y": 2.0}
    texts = [text_column(name) for name in ("op", "before", "after", "source")]
    points = [text_column("op"), *(struct_column(name) for name in ("before", "after", "source"))]
    values = {"op": "d", "before": None, "after": "b", "source": "web"}
    dots = {"op": "u", "before": point, "after": point, "source": point}
    operation, gone = text_column("__op"), text_column("__deleted")
    records, expected, letters = [], [], 0
    for number, (name, columns, value) in enumerate([
            ("src.shop.like.Value", texts, values), ("src.shop.like.Value", points, dots),
            ("other", [*texts, operation], {**values, "__op": "c"}),
            ("other", [*points, operation], {**dots, "__op": "c"}),
            ("other", [*points, gone], {**dots, "__deleted": "false"}),
            ("other", texts, values), ("other", points[:1] + points[2:], dots)]):
        schema = schema_of(name, columns)
        records.append(raw("src.shop.like", number, key(number), {
            "schema": schema, "payload": {**{c["field"]: value.get(c["field"]) for c in columns},
                                          "id": number}}))
        if number < 5:
            expected.append((number, value["op"]))
    database.execute("create table \"like\" (id int primary key, op text, before text, after text, "
                     f"source text, {CDC})")
    path = sink.folder / "letters.jsonl"
    sink.write(pipeline("^src"), database=database)
    sink.replay(records, dead_letter=path)
    found = database.execute('select id, op from "like" order by id')
    letters = [header(letter, "ods.error") for letter in read_lines(path)]
    assert (found, len(letters)) == (expected, 2), letters
    sink.write(pipeline("^src", source={"shape": "flattened"}), database=database,
               kafka={"group_id": "again"})
    path.unlink()
    sink.replay(records, dead_letter=path)
    assert database.count('"like"') == 7 and read_lines(path) == []


def test_shape_envelope(sink, database):
    """Then a flattened row is none of the topic's records."""
    table = source("items", shape="envelope-plain")
    sink.write(pipeline("^src", source={"shape": "envelope"}), database=database)
    path = sink.folder / "letters.jsonl"
    flattened = [source("items", shape=shape).create(row(9)) for shape in FLAT]
    sink.replay([table.create(row(1)), *({**record, "offset": 1 + n}
                                         for n, record in enumerate(flattened))], dead_letter=path)
    assert database.execute("select id from items") == [(1,)]
    assert len(read_lines(path)) == 2
