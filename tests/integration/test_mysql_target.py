"""The MySQL target on MySQL and MariaDB: rows by upsert, each change exactly once."""

import json

import pytest

from lib.mysql_target import FLAVOURS, Database, Server
from lib.records import INT, SHAPES, TEXT, Table, pipeline, row
from lib.sink import Exit, read_lines

MADE = {"create_tables": True, "evolve": "add", "on_delete": "hard"}


@pytest.fixture(scope="module", params=FLAVOURS)
def server(request):
    server = Server(request.param)
    yield server
    server.close()


@pytest.fixture
def target(server, request):
    target = Database(server, "ods_test")
    yield target
    target.close()


@pytest.fixture
def ods(sink, target):
    """Configure a pipeline into the database; what a replay of records answers."""
    def configure(table, settings=None, options=None, **more):
        sink.write({**pipeline(table), **more, "defaults": {**MADE, **(settings or {})}},
                   targets=[target.target(**(options or {}))])
        return target
    return configure


def letters_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("shape", SHAPES)
def test_changes_become_rows(sink, ods, shape):
    table = Table(shape=shape)
    target = ods(table)
    records = [table.create(row(1)), table.create(row(2)), table.update(row(1), row(1, 5)),
               table.delete(row(2)), table.read(row(3))]
    sink.replay(records)
    assert target.rows() == [(1, "n1", 5), (3, "n3", 0)]
    assert target.offset(table.topic) == 5
    sink.replay(records)  # the stored offset says that all of it is there
    assert target.rows() == [(1, "n1", 5), (3, "n3", 0)]
