"""What values of Maxwell's records mean: told by source_types, or by the target's columns."""

from collections import Counter

import pytest
from lib.maxwell import Raw, Table, letters_of, pipeline
from lib.sink import read_lines

CDC = "cdc_operation text, cdc_timestamp timestamptz"

# Type of the column, value as the record has it, text that PostgreSQL shows.
CONVERSIONS = [
    ("jsonb", '{"b":1,"a":[1.50,null]}', '{"a": [1.50, null], "b": 1}'),
    ("jsonb", '"str"', '"str"'), ("json", '"str"', '"str"'), ("jsonb", '""', '""'),
    ("jsonb", r'"{\"a\": 1}"', r'"{\"a\": 1}"'), ("jsonb", r'"\t\"q\" ü😀"', r'"\t\"q\" ü😀"'),
    ("jsonb", '"12"', '"12"'), ("jsonb", "1.50", "1.50"), ("jsonb", "true", "true"),
    ("jsonb", str(2**64 - 1), str(2**64 - 1)), ("jsonb", "1E2", "100"), ("jsonb", "[]", "[]"),
    ("jsonb", '[1,"a",null]', '[1, "a", null]'), ("json", '{"b":1}', '{"b":1}'),
    ("numeric(12,2)", "20000000.50", "20000000.50"), ("numeric(10,2)", "1234", "1234.00"),
    ("numeric(10,2)", '"1234"', "1234.00"), ("numeric", '"22.2200"', "22.2200"),
    ("numeric(38,10)", "1234567890123456789012345678.0123456789",
     "1234567890123456789012345678.0123456789"),
    ("numeric(38,10)", "-1E-10", "-0.0000000001"),
    ("numeric(20,0)", str(2**64 - 1), str(2**64 - 1)),
    ("bigint", str(-2**63), str(-2**63)), ("bigint", "9007199254740993", "9007199254740993"),
    ("real", "1.5", "1.5"), ("real", "-3.4E38", "-3.4e+38"), ("real", "0.1", "0.1"),
    ("double precision", "1.0E-300", "1e-300"), ("double precision", "1", "1"),
    ("double precision", "2.718281828459045", "2.718281828459045"),
    ("text", "10.50", "10.50"), ("integer", "2025", "2025"),
    ("bytea", '"AP8A/w=="', r"\x00ff00ff"), ("bytea", '""', r"\x"), ("bytea", '"YWI="', r"\x6162"),
    ("bytea", '"deadbeef"', r"\x75e69d6de79f"), ("text", '"YWI="', "YWI="),
    ("text", '["x","z"]', "x,z"), ("text", "[]", ""), ("varchar(3)", '["x","z"]', "x,z"),
    ("text", r'["é","a b","q\"\\"]', r'é,a b,q"' + "\\"), ("text", '[1,"a"]', '[1,"a"]'),
    ("text", '["a",null]', '["a",null]'), ("text", '{"a":1}', '{"a":1}'),
    ("text[]", '["x","z"]', "{x,z}"), ("text[]", "[]", "{}"), ("integer[]", "[1,2]", "{1,2}"),
    ("text[]", '["a,b",null]', '{"a,b",NULL}'),
    ("bit(20)", "699050", "10" * 10), ("bit(20)", "1", "0" * 19 + "1"), ("bit(1)", "1", "1"),
    ("bit(1)", "0", "0"), ("bit(64)", str(2**64 - 1), "1" * 64),
    ("bit varying(20)", "699050", "10" * 10), ("bit(64)", str(2**63), "1" + "0" * 63),
    ("boolean", "1", "true"), ("boolean", "0", "false"),
    ("date", '"2025-12-19"', "2025-12-19"), ("date", '"0001-01-01"', "0001-01-01"),
    ("date", '"9999-12-31"', "9999-12-31"), ("date", '"1969-12-31"', "1969-12-31"),
    ("timestamp", '"2025-12-19 08:02:27"', "2025-12-19 08:02:27"),
    ("timestamp(3)", '"2025-12-19 08:02:27.120"', "2025-12-19 08:02:27.12"),
    ("timestamp", '"9999-12-31 23:59:59.999999"', "9999-12-31 23:59:59.999999"),
    ("timestamp", '"1000-01-01 00:00:00"', "1000-01-01 00:00:00"),
    ("timestamptz", '"2025-12-19 08:02:27.654321"', "2025-12-19 08:02:27.654321+00"),
    ("timestamptz", '"1970-01-01 00:00:01.000001"', "1970-01-01 00:00:01.000001+00"),
    ("time", '"23:59:59"', "23:59:59"), ("time(3)", '"01:02:03.450"', "01:02:03.45"),
    ("interval", '"23:59:59"', "23:59:59"), ("interval", '"12:34:56.789012"', "12:34:56.789012"),
    ("interval", '"838:59:59"', "838:59:59"), ("interval", '"-838:59:59"', "-838:59:59"),
    ("point", '"POINT (1.5 -2)"', "(1.5,-2)"), ("point", '"POINT (1 2)"', "(1,2)"),
    ("text", '"POINT (1.5 -2)"', "POINT (1.5 -2)"), ("mood", '"ok"', "ok"),
    ("uuid", '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"', "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
]

REFUSED = [
    ("jsonb", r'"a\u0000b"'), ("text", r'"a\u0000b"'), ("varchar(2)", '["x","z"]'),
    ("smallint", "32768"), ("integer", "2147483648"), ("bigint", str(2**63)), ("integer", "1.5"),
    ("integer", '"x"'), ("numeric(5,2)", "123.456"), ("numeric(4,2)", "123.45"),
    ("numeric(10,2)", '"AeIT"'), ("real", "1E39"), ("bytea", '"not base64!"'),
    ("bit(20)", "1048576"), ("bit(20)", "-1"), ("bit(1)", "2"), ("bit(8)", "1.5"),
    ("bit varying(3)", "8"), ("bit(40)", "-2147483648"), ("bit(64)", str(2**64)),
    ("boolean", "2"), ("boolean", "-1"),
    ("date", "16576"), ("date", "0"), ("timestamp", "1529507596945"),
    ("timestamptz", "1529507596"),
    ("date", '"2025-02-30"'), ("date", '"2025-13-01"'), ("date", '"tomorrow"'),
    ("date", '"2025-12-19 08:02:27"'), ("timestamp", '"08:02:27"'), ("timestamp", '"now"'),
    ("timestamp(3)", '"2025-12-19 08:02:27.123456"'), ("time", '"838:59:59"'),
    ("time(0)", '"01:02:03.450"'), ("point", '"LINESTRING (0 0, 1 1)"'),
    ("point", '"POINT (x y)"'), ("point", '"POINT EMPTY"'), ("mood", '"what"'),
]


def test_conversions(sink, database, tmp_path):
    """Beside NULL, and into a row that is there. The server's zone is another one."""
    letters = tmp_path / "letters.jsonl"
    database.execute(f"alter database {database.name} set timezone to 'Asia/Jakarta'")
    database.execute("create type mood as enum ('sad', 'ok')")
    records, wanted = [], {}
    for number, (kind, value, *text) in enumerate(CONVERSIONS + REFUSED):
        table, v = Table(f"c{number}"), Raw(value)
        database.execute(f"create table {table.name} (id int primary key, v {kind}, {CDC})")
        null = {"id": 1, "v": None}
        records += [table.insert(null), table.insert({"id": 2, "v": v}),
                    table.bootstrap({"id": 3, "v": v}), table.update(null, {"id": 1, "v": v})]
        wanted[table] = f"{kind} {value}", dict.fromkeys((1, 2, 3), *text) if text else {1: None}
    sink.write(pipeline(), database=database)
    sink.replay(records, dead_letter=letters)
    found = {label: dict(database.execute(f"select id, v::text from {table.name}"))
             for table, (label, _) in wanted.items()}
    assert found == dict(wanted.values())
    refused = {f"mx.c{number}": 3 for number in range(len(CONVERSIONS), len(wanted))}
    assert Counter(letter["topic"] for letter in read_lines(letters)) == refused


# Column: what source_types says, value, type of the column that is made, and what it shows.
DECLARED = {
    "price": ("decimal(10,2)", "1234.11", "numeric(10,2)", "1234.11"),
    "total": ("bigint unsigned", str(2**64 - 1), "numeric(20,0)", str(2**64 - 1)),
    "seen": ("datetime", '"2025-12-19 08:02:27"', "timestamp(3) without time zone",
             "2025-12-19 08:02:27"),
    "at": ("timestamptz", '"2025-12-19 08:02:27.654321"', "timestamp with time zone",
           "2025-12-19 08:02:27.654321+00"),
    "born": ("date", '"2015-05-21"', "date", "2015-05-21"),
    "wait": ("time", '"01:02:03.450"', "interval", "01:02:03.45"),
    "photo": ("bytes", '"AQID"', "bytea", r"\x010203"),
    "hash": ("bytes hex", '"0102ff"', "bytea", r"\x0102ff"),
    "doc": ("json", '"str"', "jsonb", '"str"'),
    "kinds": ("set", '["x","z"]', "text", "x,z"),
    "flags": ("bit(20)", "699050", "bit(20)", "10" * 10),
    "on": ("boolean", "1", "boolean", "true"),
    "short": ("varchar(30)", '"x"', "character varying(30)", "x"),
    "since": ("year", "2025", "integer", "2025"),
}


def test_source_types_of_a_table_that_is_made(sink, database):
    table = Table()
    sink.write(pipeline(defaults={"source_types": {name: told[0]
                                                   for name, told in DECLARED.items()}}),
               database=database)
    row = {"id": 1, **{name: Raw(told[1]) for name, told in DECLARED.items()}}
    sink.replay([table.insert(row), table.insert(dict.fromkeys(row) | {"id": 2})])
    columns = database.columns("items")
    assert {name: columns[name] for name in DECLARED} == \
        {name: told[2] for name, told in DECLARED.items()}
    names = ", ".join(f'"{name}"::text' for name in DECLARED)
    assert database.execute(f"select {names} from items order by id") == \
        [tuple(told[3] for told in DECLARED.values()), (None,) * len(DECLARED)]


@pytest.mark.parametrize("kind, told, value, shown", [
    ("jsonb", "text", r'"{\"a\": 1}"', '{"a": 1}'),
    ("jsonb", "json", r'"{\"a\": 1}"', r'"{\"a\": 1}"'),
    ("jsonb", "text", '"str"', None),
    ("text", "json", '["x","z"]', '["x","z"]'),
    ("text", "set", '["x","z"]', "x,z"),
], ids=["jsonb text", "jsonb json", "jsonb text that is no JSON", "text json", "text set"])
def test_source_types_go_before_the_column(sink, database, tmp_path, kind, told, value, shown):
    """What can't be read so (None) is a dead letter."""
    table, letters = Table(), tmp_path / "letters.jsonl"
    database.execute(f"create table items (id int primary key, v {kind}, {CDC})")
    sink.write(pipeline(tables={"items": {"source_types": {"v": told}}}), database=database)
    sink.replay([table.insert({"id": 1, "v": Raw(value)})], dead_letter=letters)
    assert database.execute("select v::text from items") == ([(shown,)] if shown else [])
    assert len(letters_of(letters)) == (not shown)


@pytest.mark.parametrize("value", ["5", "-1", "0", "1.5", "18446744073709551615", "true", '"5"',
                                   "[]", '["a,b", "c"]', "{}"])
@pytest.mark.parametrize("kind", ["jsonb", "text"])
def test_declared_json_is_json(sink, database, kind, value):
    """Also where the column is text: a number stays a number, and a string a string."""
    table = Table()
    database.execute(f"create table items (id int primary key, v {kind}, {CDC})")
    sink.write(pipeline(tables={"items": {"source_types": {"v": "json"}}}), database=database)
    sink.replay([table.insert({"id": 1, "v": Raw(value)})])
    assert database.value("select v::jsonb = %s::jsonb from items", value), \
        database.value("select v::text from items")


@pytest.mark.parametrize("told, value, shown", [
    ("decimal(10,2)", '"ABCD"', None), ("decimal(10,2)", '"1234"', "1234.00"),
    ("bigint unsigned", "-1", "-1"), ("bigint unsigned", '"ABCD"', None),
    ("datetime", "20250101", None), ("timestamptz", "1529507596", None), ("time", "5", None),
    ("date", "20000", None), ("interval", "5", None), ("geometry", '"POINT (1 2)"', "POINT (1 2)"),
])
def test_declared_types_know_no_connectors_codings(sink, database, tmp_path, told, value, shown):
    """No base64 of numbers, no numbers of days or seconds, no wrapped signs: those are refused."""
    table, letters = Table(), tmp_path / "letters.jsonl"
    sink.write(pipeline(defaults={"source_types": {"v": told}}), database=database)
    sink.replay([table.insert({"id": 1, "v": None}), table.insert({"id": 2, "v": Raw(value)})],
                dead_letter=letters)
    assert database.execute("select v::text from items where id = 2") == \
        ([(shown,)] if shown else [])
    assert len(letters_of(letters)) == (shown is None)


def test_float_of_any_size_keeps_its_digits(sink, database):
    """The DDL does not tell float(53) from float."""
    table, values = Table(), ["0.1", "0.1234567890123", "16777217", "-3.4E38"]
    sink.write(pipeline(schema_topic=table.ddl_topic), database=database)
    sink.replay([table.ddl("table-create", {"id": {"type": "int", "signed": True}, "v": "float"}),
                 *(table.insert({"id": number, "v": Raw(value)})
                   for number, value in enumerate(values))])
    assert [float(value) for value in values] == \
        [v for v, in database.execute("select v from items order by id")]


# --- zero dates -----------------------------------------------------------------------------------

ZERO_DATES = ["0000-00-00", "0000-00-00 00:00:00", "0000-00-00 00:00:00.000000", "2026-00-00",
              "2026-01-00", "2026-00-07", "2026-00-00 00:00:00", "2026-01-00 10:11:12.500000"]
ZEROES = dict(enumerate(ZERO_DATES))
# Columns, and what each of them takes.
MOMENTS = {"date": "2026-01-01", "timestamp": "2026-01-01 00:00:00",
           "timestamptz": "2026-01-01 00:00:00"}


def replay_zeroes(sink, database, definition, rows, key="id", **defaults):
    """Rows {id: v} into such a table: what it shows, SQLSTATEs of the letters, and how many zero
    dates were counted."""
    table, letters = Table(key=(key,)), sink.folder / "letters.jsonl"
    database.execute(f"create table items ({definition}, {CDC})")
    sink.write(pipeline(defaults=defaults), database=database)
    summary = sink.replay([table.insert({"id": number, "v": v}) for number, v in rows.items()],
                          dead_letter=letters)
    shown = dict(database.execute("select id, v::text from items"))
    codes = [dict(zip(letter["headers"][::2], letter["headers"][1::2])).get("ods.sqlstate")
             for letter in letters_of(letters)]
    return shown, codes, summary["pipelines"][0]["zero_dates"]


@pytest.mark.parametrize("setting", [{}, {"zero_dates": "null"}], ids=["default", "null"])
@pytest.mark.parametrize("column", MOMENTS)
def test_zero_dates_are_null_and_counted(sink, database, column, setting):
    answer = replay_zeroes(sink, database, f"id int primary key, v {column}", ZEROES, **setting)
    assert answer == (dict.fromkeys(ZEROES), [], len(ZEROES))


@pytest.mark.parametrize("column", MOMENTS)
def test_zero_dates_are_refused(sink, database, column):
    shown, codes, zeroes = replay_zeroes(sink, database, f"id int primary key, v {column}",
                                         {**ZEROES, 99: MOMENTS[column]}, zero_dates="reject")
    assert list(shown) == [99] and shown[99].startswith(MOMENTS[column])
    assert (codes, zeroes) == (["22008"] * len(ZEROES), 0)


@pytest.mark.parametrize("setting", ["null", "reject"])
@pytest.mark.parametrize("column", ["text", "varchar(26)"])
def test_zero_dates_stay_text_in_a_text_column(sink, database, column, setting):
    answer = replay_zeroes(sink, database, f"id int primary key, v {column}", ZEROES,
                           zero_dates=setting)
    assert answer == (ZEROES, [], 0)


@pytest.mark.parametrize("definition, key", [
    ("id int primary key, v date not null", "id"), ("id int, v date primary key", "v")])
def test_zero_date_where_null_has_no_place(sink, database, definition, key):
    """A dead letter, and its neighbours are there."""
    rows = {1: "2026-01-01", 2: "0000-00-00", 3: "2026-01-03"}
    shown, codes, zeroes = replay_zeroes(sink, database, definition, rows, key)
    assert shown == {1: "2026-01-01", 3: "2026-01-03"}
    assert (len(codes), zeroes) == (1, 0)


# --- rows without a key ---------------------------------------------------------------------------


@pytest.mark.parametrize("events", [1000, 1], ids=["one batch", "one by one"])
def test_row_without_key_is_found_by_its_values(sink, database, events):
    """The before image means what the row meant when it was written."""
    table = Table(key=())
    database.execute("create table items (n int, j jsonb, s text, b bit(20), y bytea, d date, "
                     f"at timestamptz, m numeric(10,2), p text, {CDC})")
    sink.write(pipeline(defaults={"on_delete": "hard"}), database=database,
               batch={"max_events": events})
    row = {"n": 1, "j": Raw('"str"'), "s": Raw('["x","z"]'), "b": 699050, "y": "AQID",
           "d": "0000-00-00", "at": "2025-12-19 08:02:27", "m": Raw("10.50"), "p": None}
    sink.replay([table.insert(row), table.insert(row), table.insert({**row, "n": 2}),
                 table.update(row, {**row, "j": Raw('{"a":1}'), "d": "2026-01-01"}),
                 table.delete(row), table.delete({**row, "n": 2})])
    assert database.execute("select n, j::text, s, b::text, y::text, d::text, at::text, m::text, p "
                            "from items") == \
        [(1, '{"a": 1}', "x,z", "10" * 10, r"\x010203", "2026-01-01", "2025-12-19 08:02:27+00",
          "10.50", None)]
