"""Names that records bring, and not the source's schema: one record whose columns can't be told apart,
or that has too many, is a letter, and those around it are written."""

import json

from lib.records import pipeline
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
