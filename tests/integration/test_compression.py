"""Large values of columns that the sink makes are compressed by lz4, where the server has it."""

import pytest
from lib.records import BIGINT, INT, TEXT, Table, pipeline

ARRAY = {"type": "array", "items": {"type": "string", "optional": True}}
LARGE = {  # column: type in the record, and in the target
    "note": (TEXT, "text"),
    "raw": ({"type": "bytes"}, "bytea"),
    "doc": ({"type": "string", "name": "io.debezium.data.Json"}, "jsonb"),
    "markup": ({"type": "string", "name": "io.debezium.data.Xml"}, "xml"),
    "tags": (ARRAY, "text[]"),
}
SMALL = {
    "n": (BIGINT, "bigint"),
    "day": ({"type": "int32", "name": "io.debezium.time.Date"}, "date"),
    "u": ({"type": "string", "name": "io.debezium.data.Uuid"}, "uuid"),
    "amount": ({"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal",
                "parameters": {"scale": "2"}}, "numeric"),
}
COLUMNS = {**LARGE, **SMALL}
TOAST = "x" * 10 + "".join(f"{n:05d} and so on, " for n in range(1000))


def wide(**more):
    return Table(columns={"id": INT, **{name: kind for name, (kind, _) in COLUMNS.items()}, **more})


def compression(database, table="items"):
    """Column: its method, '' for the server's default."""
    return dict(database.execute(
        "select attname::text, trim(attcompression::text, E'\\\\001 ') from pg_attribute "
        "where attrelid = %s::regclass and attnum > 0", table))


def methods():
    return {name: "l" if name in LARGE else "" for name in COLUMNS}


def test_of_a_table_that_is_made(sink, database):
    table = wide()
    sink.write(pipeline(table), database=database)
    sink.replay([table.create({"id": 1, "note": TOAST, "doc": f'{{"a": "{TOAST}"}}'})])
    found = compression(database)
    assert {name: found[name] for name in COLUMNS} == methods()
    assert found["id"] == "" and found["cdc_operation"] == ""
    assert database.columns("items")["tags"] == "text[]"
    assert database.execute("select pg_column_compression(note), pg_column_compression(doc), note "
                            "from items") == [("lz4", "lz4", TOAST)]


def test_of_columns_that_come_later(sink, database):
    old = Table(columns={"id": INT, "v": INT})
    new = wide(v=INT)
    new._offsets = old._offsets
    sink.write(pipeline(old), database=database)
    sink.replay([old.create({"id": 1, "v": 1}), new.create({"id": 2, "v": 2, "note": TOAST})])
    found = compression(database)
    assert {name: found[name] for name in COLUMNS} == methods() and found["v"] == ""
    assert database.value("select pg_column_compression(note) from items where id = 2") == "lz4"


def test_of_a_column_that_becomes_wider(sink, database):
    old, new = (Table(columns={"id": INT, "v": kind}) for kind in (INT, TEXT))
    new._offsets = old._offsets
    sink.write(pipeline(old, defaults={"evolve": "widen"}), database=database)
    sink.replay([old.create({"id": 1, "v": 1}), new.create({"id": 2, "v": TOAST})])
    assert database.columns("items")["v"] == "text" and compression(database)["v"] == "l"
    assert database.execute("select id, v from items order by 1") == [(1, "1"), (2, TOAST)]


def test_as_the_server_says(sink, database):
    table = wide()
    sink.write(pipeline(table), targets=[
        {"name": "ods", "type": "postgres", "dsn": database.dsn, "toast_compression": "default"}])
    sink.replay([table.create({"id": 1, "note": TOAST})])
    assert set(compression(database).values()) == {""}
    assert database.value("select pg_column_compression(note) from items") == "pglz"


def test_of_a_key_and_of_limited_text(sink, database):
    """An index takes no large values; a short one is never compressed by itself."""
    def limited(length):
        return {"type": "string", "parameters": {"__debezium.source.column.type": "BPCHAR",
                                                 "__debezium.source.column.length": str(length)}}

    table = Table(columns={"code": TEXT, "short": limited(40), "long": limited(4000)}, key=("code",))
    sink.write(pipeline(table), database=database)
    sink.replay([table.create({"code": "a", "short": "b", "long": TOAST[:4000]})])
    found = compression(database)
    assert (found["code"], found["short"], found["long"]) == ("", "", "l")
    assert database.columns("items")["long"] == "character(4000)"


@pytest.mark.parametrize("setting", ["lz4", "none", 1])
def test_other_words_are_refused(sink, database, setting):
    sink.write(pipeline("t"), targets=[
        {"name": "ods", "type": "postgres", "dsn": database.dsn, "toast_compression": setting}])
    assert "toast_compression" in sink.run("check", "-c", sink.conf, expect=3).stderr
