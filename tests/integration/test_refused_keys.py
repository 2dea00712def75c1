"""Old keys that PostgreSQL can't read: the change is a dead letter, and its neighbours are applied."""

import json

import pytest
from lib.maxwell import Table as MaxwellTable
from lib.maxwell import letters_of
from lib.maxwell import pipeline as maxwell_pipeline
from lib.records import SHAPES, TEXT, Table, pipeline

UNAVAILABLE = "__debezium_unavailable_value"
MADE = """create table "{name}" (id {kind} primary key, name text, big text, cdc_operation text,
                              cdc_timestamp timestamp)"""
KINDS = {
    "enum": ("colour", "red", "green", "blue", "mauve"),
    "inet": ("inet", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.300"),
    "interval": ("interval", "1 day", "2 days", "3 days", "some days"),
    "macaddr": ("macaddr", "08:00:2b:01:02:03", "08:00:2b:01:02:04", "08:00:2b:01:02:05", "08:xx"),
    "int4range": ("int4range", "[1,2)", "[2,3)", "[3,4)", "[4,1)"),
}


@pytest.fixture(params=KINDS)
def keys(request, database):
    """Three good keys and a bad one, for tables of a name each."""
    kind, *keys = KINDS[request.param]
    if kind == "colour":
        database.execute("create type colour as enum ('red', 'green', 'blue')")
    for name in ("items", *SHAPES):
        database.execute(MADE.format(name=name, kind=kind))
    return keys


def assert_keys(database, table, *keys):
    assert database.count(f'"{table}"') == len(keys)
    for key in keys:
        assert database.execute(f"select 1 from \"{table}\" where id = %s", key), key


def test_value_that_a_key_change_takes_along(sink, database, keys, tmp_path):
    one, two, three, bad = keys
    sink.write(pipeline("^src.*"), database=database)
    records = [[], []]
    for shape in SHAPES:
        items = Table(shape, columns=dict.fromkeys(("id", "name", "big"), TEXT), shape=shape)

        def create(key, old=None, big=UNAVAILABLE):
            record = items.create({"id": key, "name": "n", "big": big})
            if old:
                record["headers"] = ["__debezium.oldkey", json.dumps({"id": old})]
            return record

        records[0] += [create(one, big="kept")]
        records[1] += [create(two, old=bad), create(three, old=one)]
    letters = tmp_path / "letters"
    sink.replay(records[0], dead_letter=letters)
    summary = sink.replay(records[1], dead_letter=letters)
    assert summary["rejected"] == len(SHAPES)
    assert [letter["offset"] for letter in letters_of(letters)] == [1] * len(SHAPES)
    for shape in SHAPES:
        assert_keys(database, shape, one, three)
        assert database.value(f'select count(*) from "{shape}" where big = %s', "kept") == 2


def test_keys_that_change_hands(sink, database, keys, tmp_path):
    """Maxwell's updates of a key: several of them bad, in a batch with good ones."""
    one, two, three, bad = keys
    items = MaxwellTable()
    sink.write(maxwell_pipeline(defaults={"on_delete": "hard"}), database=database)

    def row(key):
        return {"id": key, "name": "n", "big": "b"}

    letters = tmp_path / "letters"
    sink.replay([items.insert(row(one))], dead_letter=letters)
    records = [items.update(row(bad), row(two)), items.update(row(one), row(three)),
               items.update(row(bad + "0"), row(one))]
    summary = sink.replay(records, dead_letter=letters)
    assert summary["rejected"] == 2
    assert sorted(letter["offset"] for letter in letters_of(letters)) == [1, 3]
    assert_keys(database, "items", three)


def test_answers_belong_to_their_questions(sink, database, tmp_path):
    """Two old keys: of the one a newer row is there already, of the other not; the batch names them
    in another order than that in which they change hands."""
    items = MaxwellTable()
    sink.write(maxwell_pipeline(defaults={"on_delete": "hard"}), database=database)

    def row(key, name="n"):
        return {"id": key, "name": name}

    items._clock_s += 100
    newer = items.insert(row(1, "newer"))
    items._clock_s -= 101
    sink.replay([newer, items.insert(row(2))])
    records = [items.update(row(1, "x"), row(1, "y")), items.update(row(2), row(12)),
               items.update(row(1), row(11))]
    sink.replay([{**record, "partition": 1, "offset": place}
                 for place, record in enumerate(records)])
    assert database.execute("select id, name from items order by id") == [(11, "n"), (12, "n")]
