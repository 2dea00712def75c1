"""Names that records bring, and not the source's schema: one record whose columns can't be told
apart, or that has too many, is a letter, and those around it are written."""

import json

import pytest

from lib.records import INT, TEXT, Table, pipeline
from lib.sink import read_lines

TOPIC = "app.orders"


def rows(*values):
    return [{"topic": TOPIC, "partition": 0, "offset": offset, "key": None,
             "payload": json.dumps(value), "headers": []} for offset, value in enumerate(values)]


def reasons(path):
    found = {}
    for letter in read_lines(path):
        headers = dict(zip(letter["headers"][::2], letter["headers"][1::2]))
        found[letter["offset"]] = headers["ods.error"]
    return found


@pytest.mark.parametrize("kind", ["json", "auto"])
def test_columns_that_would_meet(sink, database, tmp_path, kind):
    sink.write({**pipeline(TOPIC), "format": kind,
                "defaults": {"create_tables": True, "evolve": "add", "fold": "lower"},
                "tables": {"orders": {"key": ["id"]}}}, database=database)
    letters = tmp_path / "letters.jsonl"
    sink.replay(rows({"id": 1, "note": "a"}, {"id": 2, "cdc_timestamp": "x"}, {"id": 3, "Id": 4},
                     {"id": 5, "note": "b"}), dead_letter=letters)
    assert database.execute("select id, note from orders order by id") == [(1, "a"), (5, "b")]
    said = reasons(letters)
    assert set(said) == {1, 2}
    for offset, names in {1: '"the sink\'s own column" and "cdc_timestamp"',
                          2: '"id" and "Id"'}.items():
        assert names in said[offset] and "columns.rename" in said[offset] and \
            "columns.exclude" in said[offset]


def test_columns_of_documents_that_would_meet(sink, database, tmp_path):
    """What a transform takes out of a document meets a column that the source's schema has."""
    table = Table(columns={"id": INT, "doc": TEXT})
    sink.write({**pipeline(table, defaults={"create_tables": True, "evolve": "add"}),
                "transforms": [{"flatten": {"column": "doc", "prefix": ""}}]}, database=database)
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.create({"id": 1, "doc": '{"a": 1}'}),
                 table.create({"id": 2, "doc": '{"cdc_operation": 1}'}),
                 table.create({"id": 3, "doc": '{"a": 3}'})], dead_letter=letters)
    assert database.execute("select id, a from items order by id") == [(1, 1), (3, 3)]
    said = reasons(letters)
    assert len(said) == 1 and "columns.exclude" in next(iter(said.values()))


def test_rows_of_too_many_members(sink, database, tmp_path):
    """2,000 are the most that are looked at for names that stand twice."""
    sink.write({**pipeline(TOPIC), "format": "json",
                "defaults": {"create_tables": True}, "tables": {"orders": {"key": ["id"]}}},
               database=database)
    wide = {f"c{number}": 1 for number in range(2000)}
    letters = tmp_path / "letters.jsonl"
    sink.replay(rows({"id": 1}, {"id": 2, **wide}, {"id": 3}), dead_letter=letters)
    assert database.execute("select id from orders order by id") == [(1,), (3,)]
    assert "the row has 2001 members, 2000 are the most" in reasons(letters)[1]
