"""Plain JSON rows, and records that tell their format by themselves."""

import json
import re

from conftest import ROOT

from lib.records import Table, pipeline, row
from lib.sink import Exit, read_lines

TOPIC = "app.orders"


def record(offset, key, value, topic=TOPIC):
    def text(item):
        return item if item is None or isinstance(item, str) else json.dumps(item)
    return {"topic": topic, "partition": 0, "offset": offset, "key": text(key),
            "payload": text(value), "headers": []}


def test_rows_are_an_upsert_stream(sink, database, tmp_path):
    sink.write({**pipeline(TOPIC), "format": "json", "source": {"op_field": "what"},
                "defaults": {"on_delete": "hard", "cdc_operation": "off", "cdc_timestamp": "off"},
                "tables": {"orders": {"key": ["id"]}}}, database=database)
    database.execute("create table orders(id int primary key, note text, total numeric, "
                     "tags jsonb, ok bool)")
    letters = tmp_path / "letters.jsonl"
    sink.replay([
        record(0, None, {"id": 1, "note": "a", "total": 12345678901234567890.25}),
        record(1, {"id": 2}, '{"note": "b", "total": 1.10, "tags": [1, {"x": 2}], "ok": true}'),
        record(2, "3", {"note": "c"}),
        record(3, None, {"id": 1, "note": None}),
        record(4, {"id": 2}, None),
        record(5, None, {"id": 4, "note": "gone", "what": "delete"}),
        record(6, {"schema": {}, "payload": {"id": 5}}, {"note": "connect"}),
        record(7, None, {"note": "no key"}), record(8, None, "[1]"), record(9, None, "{"),
        record(10, None, {"id": 6, "what": "explode"}), record(11, None, None),
        record(12, None, '{"id": 7, "id": 8}')], dead_letter=letters)
    assert database.execute("select id, note, total is null, tags, ok from orders order by id") == [
        (1, None, False, None, None), (3, "c", True, None, None), (5, "connect", True, None, None)]
    refused = read_lines(letters)
    assert len(refused) == 6
    said = json.dumps(refused)
    for why in ("key column id is neither in the row nor in the record's key",
                "expected a JSON object", "is not JSON", "field what says explode",
                "has member id twice"):
        assert why in said


def test_the_key_of_the_record_names_the_row(sink):
    done = sink.run("decode", "--format", "json", sink.file_of([
        record(0, {"a": 1, "b": "x"}, {"b": "x", "c": 0.10}), record(1, {"a": 1}, None),
        record(2, None, None)]), expect=Exit.NEGATIVE)
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert first["table"] == "orders" and first["key"] == {"a": "1", "b": "x"}
    assert first["after"] == {"b": "x", "c": "0.1", "a": "1"}
    assert second["op"] == "d" and second["key"] == {"a": "1"}
    assert "set key: [...]" in third["error"]


def test_each_record_tells_its_format(sink):
    table = Table()
    maxwell = {"database": "shop", "table": "items", "type": "insert", "ts": 1760000000, "xid": 1,
               "commit": True, "data": {"id": 3}, "primary_key_columns": ["id"]}
    flat = Table(name="flat", shape="flat-plain")
    records = [table.create(row(1)), record(0, {"id": 2}, {"id": 2, "op": "x", "data": 1}),
               record(1, None, maxwell, "maxwell"), flat.create(row(4)),
               record(2, {"id": 2}, None), table.tombstone(row(1)),
               record(3, None, "\u0000\u0000", "avro")]
    done = sink.run("decode", sink.file_of(records), expect=None)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(change.get("table"), change["key"] if "key" in change else None)
            for change in found[:4]] == [
        ("items", {"id": "1"}), ("orders", {"id": "2"}), ("items", {"id": "3"}),
        ("flat", {"id": "4"})]
    assert (found[4]["op"], found[4]["table"]) == ("d", "orders")
    assert (found[5]["op"], found[5]["table"]) == ("d", "items")


def test_a_pipeline_of_any_format(sink, database):
    table = Table()
    sink.write({**pipeline("^(src|app).*"), "format": "auto", "tables": {"orders": {"key": ["id"]}}},
               database=database)
    sink.replay([table.create(row(1)), record(0, None, {"id": 2, "note": "plain"})])
    assert database.count("items") == 1 and database.count("orders") == 1


def test_the_page_says_what_decode_prints(sink):
    page = (ROOT / "docs" / "formats.md").read_text()
    given, shown = re.search(r"\$ echo '(.*?)' \| ods-sink decode --format json -\n(.*?)\n```",
                             page, re.DOTALL).groups()
    assert sink.run("decode", "--format", "json", "-", text=given + "\n").stdout.strip() == shown
