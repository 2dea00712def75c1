"""Items of Avro that take no byte: a few bytes can say that there are any number of them."""

import base64

import pytest

from lib.avro import Schemas, number
from lib.records import INT, Table
from lib.sink import read_lines

MOST = 100
NOTHING = {"type": "array", "items": {"type": "struct", "name": "shop.Nothing", "fields": []}}


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_block_of_items_that_take_no_byte(sink, database, tmp_path, place):
    """Whether the array is read or passed over."""
    schemas = Schemas()
    table = Table(columns={"id": INT, "nothing": NOTHING, "pad": {"type": "string"}})

    def update(identity):
        image = {"id": identity, "nothing": [{}] * MOST, "pad": "x" * 200}
        return schemas.record(table.update(image, image))

    records = [update(identity) for identity in (1, 2, 3)]
    data = base64.b64decode(records[1]["value_b64"])
    many = number(MOST) + b"\0"
    parts = data.split(many)
    assert len(parts) == 3
    lies = [number(MOST + 1) + b"\0" if place == name else many for name in ("before", "after")]
    data = parts[0] + lies[0] + parts[1] + lies[1] + parts[2]
    records[1]["value_b64"] = base64.b64encode(data).decode()
    sink.write({"name": "shop", "topics": [table.topic], "format": "debezium-avro", "target": "ods",
                "registry": {"url": schemas.save(sink.folder / "schemas.json")},
                "defaults": {"create_tables": True}}, database=database)
    letters = tmp_path / "letters.jsonl"
    sink.replay(records, dead_letter=letters)
    assert database.execute("select id, cardinality(nothing) from items order by id") == [
        (1, MOST), (3, MOST)]
    letter, = read_lines(letters)
    said = " ".join(map(str, letter["headers"]))
    assert "a block of more than 100 items that take no byte" in said
