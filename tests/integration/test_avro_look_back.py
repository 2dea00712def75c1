"""A lane that starts between a delete and its tombstone, and has to ask for the schemas of both:
the tombstone is not taken for a delete of its own."""

import base64

import pytest

from lib.avro import Schemas
from lib.records import Table, row
from lib.registry import Registry


@pytest.fixture
def schemas():
    return Schemas()


@pytest.fixture
def registry(schemas):
    registry = Registry(schemas)
    yield registry
    registry.stop()


@pytest.mark.parametrize("kind", ["debezium-avro", "auto"])
def test_a_tombstone_behind_a_restart(sink, kafka, database, registry, schemas, prefix, kind):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    sink.write({"name": "shop", "topics": [table.topic], "format": kind, "target": "ods",
                "registry": {"url": registry.url}, "defaults": {"history": True, "mode": "history",
                                                         "create_tables": True}},
               kafka=True, database=database, lanes=1)
    records = [schemas.record(record) for record in (
        table.create(row(1)), table.delete(row(1)), table.tombstone(row(1)), table.create(row(2)))]

    def runs_until(count, sent):
        daemon = sink.daemon()
        daemon.await_that(lambda: [*database.offsets().values()] == [sent]
                          and database.count("items_cdc") >= count, what=f"{count} changes")
        daemon.stop()

    kafka.produce(records[:2])
    runs_until(2, 2)
    kafka.produce(records[2:])
    # The key's schema comes before the value's.
    value = int.from_bytes(base64.b64decode(records[1]["value_b64"])[1:5], "big")
    found, asked = registry.find, []

    def find(path):
        if path.split("?")[0] != f"/schemas/ids/{value}":
            return found(path)
        asked.append(path)
        return found(path) if len(asked) > 2 else None

    registry.find = find
    runs_until(3, 4)
    assert database.execute('select op, id from items_cdc order by "offset"') == [
        ("c", 1), ("d", 1), ("c", 2)]
