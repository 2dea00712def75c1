"""Names and values that want to be something else than names and values."""

import json

import pytest
from lib.records import INT, TEXT, Table, pipeline
from lib.sink import read_lines

NAMES = ['a"; drop table victim; --', "a'); drop table victim; --", "line\nbreak", "back\\slash",
         "%s%n%d", "${ODS_PASSWORD}", "$1", "tab\there", "ünïcödé 😀", "select", "a.b", " ",
         "x" * 63, "x" * 64, "ö" * 40, "\u202egnol"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names(sink, database, name):
    """As a table's and as a column's: quoted always, cut by the stated rule, the values right."""
    database.execute("create table victim (id int)")
    table = Table(name, columns={"id": INT, name: TEXT})
    table.topic = "src.shop.hostile"
    sink.write(pipeline(table), database=database)
    sink.replay([table.create({"id": 1, name: "value"})])
    assert database.exists("victim")
    tables = [found for found, in database.execute(
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace "
        "and relkind = 'r' and relname <> 'victim'")]
    assert len(tables) == 1
    quoted = tables[0].replace('"', '""')
    columns = [column for column, in database.execute(
        "select attname::text from pg_attribute where attrelid = %s::regclass and attnum = 2",
        f'public."{quoted}"')]
    if len(name.encode()) <= 63:
        assert (tables, columns) == ([name], [name])
    column = columns[0].replace('"', '""').replace("%", "%%")
    assert database.value(f'select "{column}" from "{quoted}"'.replace("%%", "%")) == "value"


@pytest.mark.parametrize("name", ["nul\u0000name", "y" * 1_000_000],
                         ids=["nul", "1 MB"])
@pytest.mark.parametrize("what", ["table", "column"])
def test_names_that_can_not_be(sink, database, tmp_path, name, what):
    """Set aside, or cut by the stated rule; the neighbours are applied."""
    good = Table()
    bad = Table(name if what == "table" else "bad",
                columns={"id": INT, **({name: TEXT} if what == "column" else {"n": TEXT})})
    good.topic = bad.topic = "src.shop.mixed"
    records = [good.create({"id": 1, "name": "a", "amount": 1}),
               bad.create({"id": 1, name if what == "column" else "n": "v"}),
               good.create({"id": 2, "name": "b", "amount": 2})]
    for offset, record in enumerate(records):
        record["offset"] = offset
    letters = tmp_path / "letters.jsonl"
    sink.write(pipeline(good), database=database)
    sink.replay(records, dead_letter=letters)
    assert database.execute("select id from items order by id") == [(1,), (2,)]
    assert list(database.offsets().values()) == [3]
    aside = read_lines(letters) if letters.exists() else []
    assert len(aside) <= 1
    for letter in aside:
        assert all(len(str(header)) < 1_100_000 for header in letter["headers"])


@pytest.mark.parametrize("depth", [1000, 100_000, 2_000_000])
def test_deep_json(sink, database, tmp_path, depth):
    """As the record, as a value in it, and as its schema."""
    table = Table(columns={"id": INT, "name": TEXT, "amount": INT})
    good = table.create({"id": 1, "name": "a", "amount": 1})
    deep = '{"a":' * depth + "1" + "}" * depth
    flat = json.dumps(json.loads(table.create({"id": 2, "name": "HERE", "amount": 1})["payload"]))
    records = [good, table.record(good["key"], deep), table.record(good["key"], "[" * depth),
               table.record(good["key"], flat.replace('"HERE"', deep)),
               table.record(good["key"], json.dumps({"payload": None}).replace(
                   "{", '{"schema": ' + deep + ", ", 1)),
               table.create({"id": 3, "name": "b", "amount": 1})]
    for offset, record in enumerate(records):
        record["offset"] = offset
    sink.write(pipeline(table), database=database)
    sink.replay(records, dead_letter=tmp_path / "letters.jsonl")
    rows = [number for number, in database.execute("select id from items order by id")]
    assert rows[0] == 1 and rows[-1] == 3
    assert list(database.offsets().values()) == [6]
