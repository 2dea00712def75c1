"""Records of a serializer for JSON Schema: a zero byte and the four bytes of a schema's id, then JSON. The
formats of JSON read what follows, of the key too."""

import base64
import json

from lib.kafka import bytes_of
from lib.records import Table, pipeline, row
from lib.sink import Exit, read_lines

ID = b"\0\0\0\0\7"


def framed(record, key=True, value=True):
    """The record as such a serializer writes it."""
    made = dict(record)
    for name, wanted, other in (("key", key, "key_b64"), ("payload", value, "value_b64")):
        if wanted and made[name] is not None:
            made[other] = base64.b64encode(ID + made.pop(name).encode()).decode()
    return made


def plain(offset, key, payload, topic="app.orders"):
    return {"topic": topic, "partition": 0, "offset": offset, "key": key, "payload": payload, "headers": []}


def history(table):
    one, two, three = row(1, 5), row(2), row(3)
    return [framed(table.create(one)), framed(table.create(two)), framed(table.update(one, row(1, 9))),
            framed(table.delete(two)), framed(table.tombstone(two)), framed(table.create(three)),
            framed(table.tombstone(three)), framed(table.create(row(4)), key=False), table.create(row(5))]


def test_debezium_envelopes_rows_and_tombstones(sink, databases):
    for shape in ("envelope", "envelope-plain", "flat-plain"):
        for name in ("debezium", "auto"):
            database = databases()
            table = Table(shape=shape, prefix="js")
            sink.write({**pipeline(table), "format": name,
                        "defaults": {"cdc_operation": "off", "cdc_timestamp": "off", "on_delete": "hard"}},
                       database=database)
            sink.replay(history(table))
            assert database.execute("select id, amount from items order by id") == [(1, 9), (4, 0), (5, 0)], (shape, name)


def test_plain_rows_and_what_is_refused(sink, database, tmp_path):
    database.execute("create table orders(id text primary key, note text)")
    letters = tmp_path / "letters.jsonl"
    sink.write({**pipeline("app.orders"), "format": "json",
                "defaults": {"cdc_operation": "off", "cdc_timestamp": "off", "on_delete": "hard"},
                "tables": {"orders": {"key": ["id"]}}}, database=database)
    number = plain(5, None, '{"note": "number"}')
    number["key_b64"] = base64.b64encode(ID + b"0").decode()
    avro = plain(6, '{"id": "f"}', None)
    avro["value_b64"] = base64.b64encode(ID + b"\2\6abc").decode()
    del number["key"], avro["payload"]
    records = [framed(plain(0, '{"id": "a"}', '{"note": "object"}')),
               framed(plain(1, '"b"', '{"note": "text"}')), framed(plain(2, None, '{"id": "c", "note": "no key"}')),
               framed(plain(3, '"d"', '{"note": "gone"}')), framed(plain(4, '"d"', None)), number, avro,
               framed(plain(7, '{"id": "g"}', '{"note": '))]
    sink.replay(records, dead_letter=letters)
    assert database.execute("select id, note from orders order by id") == [("a", "object"), ("b", "text"), ("c", "no key")]
    refused = read_lines(letters)
    assert [letter["offset"] for letter in refused] == [5, 6, 7], refused
    said = json.dumps(refused)
    assert "key column id is neither in the row nor in the record's key" in said and "is not JSON" in said
    # What was refused is kept as it came, id and all.
    assert bytes_of(refused[0], "key", "key_b64") == ID + b"0"


def test_without_a_configuration_and_beside_avro(sink, tmp_path):
    path = sink.file_of([framed(plain(0, '{"id": 1}', '{"note": "gift"}'))])
    shown = json.loads(sink.run("decode", path).stdout)
    assert shown["after"] == {"note": "gift", "id": "1"}
    schemas = tmp_path / "schemas.json"
    schemas.write_text(json.dumps({"7": {"schema": '{"type": "object"}', "schemaType": "JSON"}}))
    done = sink.run("decode", "--format", "debezium-avro", "--registry", f"file://{schemas}", path,
                    expect=Exit.NEGATIVE)
    assert "a schema of type JSON" in done.stdout and "format: debezium or json" in done.stdout
