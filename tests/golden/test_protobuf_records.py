"""Every made case and captured JSON record with a schema, written in Protobuf: it must give the changes
that it gives in JSON. What Protobuf can't say (a NULL array, an array of arrays) has no case here."""

import json

from lib.protobuf import Schemas
from test_avro_records import FILES, decode, place

FEWEST = 500  # records that can be written in Protobuf


class Exact(Schemas):
    def field(self, number, schema, value, optional):
        if value is None and schema["type"] in ("array", "map"):
            raise ValueError("it would arrive as an empty one")
        return super().field(number, schema, value, optional)


def in_protobuf(schemas, text):
    """(the record, the same in Protobuf); None: it is no record with a schema."""
    try:
        record = json.loads(text)
    except ValueError:
        return None
    if not isinstance(record, dict) or "topic" not in record or "value_b64" in record:
        return None
    made = schemas.record(record)
    return made and (record, made)


def compare(binary, path, folder, nullables):
    schemas = Exact(nullables)
    pairs = [pair for text in path.read_bytes().splitlines() if (pair := in_protobuf(schemas, text))]
    if not pairs:
        return 0
    as_json, as_protobuf = folder / "json.jsonl", folder / "protobuf.jsonl"
    as_json.write_text("".join(json.dumps(record) + "\n" for record, _ in pairs))
    as_protobuf.write_text("".join(json.dumps(made) + "\n" for _, made in pairs))
    known = decode(binary, as_json)
    found = decode(binary, as_protobuf, "--format", "debezium-protobuf", "--registry",
                   schemas.save(folder / "schemas.json"))
    refused = {place(line) for line in known if "error" in line}
    assert {place(line) for line in found if "error" in line} <= refused, (path, found)
    assert [line for line in found if place(line) not in refused] == \
        [line for line in known if place(line) not in refused], path
    return len(pairs)


def test_json_records_in_protobuf(binary, tmp_path):
    """NULL is a field that is not there in one half, a wrapper that is not there in the other."""
    count = sum(compare(binary, path, tmp_path, ["optional", "wrapper"][number % 2])
                for number, path in enumerate(FILES))
    assert count >= FEWEST
