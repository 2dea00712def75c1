"""Avro records in, changes out.

The captured ones against decoded.jsonl, which another Avro library read from the same bytes, value
by value. And every made case and captured JSON record with a schema, written in Avro: it must give
the changes that it gives in JSON.
"""

import base64
import json
import struct
import subprocess

import pytest

from lib.avro import Schemas
from test_golden import (CASES, HERE, bits_text, date_text, float_text, geometry_text,
                         microseconds, moment_text, read_lines, seconds_text, zoned_text)

FOLDER = HERE / "debezium-avro"
REGISTRY = f"file://{FOLDER / 'schemas.json'}"
SCHEMAS = {int(key): json.loads(value["schema"])
           for key, value in json.loads((FOLDER / "schemas.json").read_text()).items()}
CAPTURED = sorted(FOLDER.glob("av.avro_src.*.jsonl"))


def decode(binary, path, *options):
    done = subprocess.run([binary, "decode", *options, str(path)], capture_output=True, check=False)
    assert done.stderr == b"", done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]


# --- captured ---

DECODED = {(line["topic"], line["partition"], line["offset"]): line
           for line in read_lines(FOLDER / "decoded.jsonl")}


def type_of(field):
    """The field's type without the union around it."""
    kind = field["type"]
    kind = next(part for part in kind if part != "null") if isinstance(kind, list) else kind
    return kind if isinstance(kind, dict) else {"type": kind}


def plain(value):
    """Marked values of decoded.jsonl as the JSON converter has them."""
    if isinstance(value, dict) and "$bytes_b64" in value:
        return value["$bytes_b64"]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


MEANINGS = {
    "io.debezium.time.Date": lambda kind, value: date_text(value),
    "io.debezium.time.MicroTime": lambda kind, value: seconds_text(value),
    "io.debezium.time.Timestamp": lambda kind, value: moment_text(value * 1000),
    "io.debezium.time.MicroTimestamp": lambda kind, value: moment_text(value),
    "io.debezium.time.ZonedTimestamp": lambda kind, value: zoned_text(value),
    "io.debezium.data.geometry.Point": lambda kind, value: "(%s,%s)" % (
        float_text(value["x"]), float_text(value["y"])),
    "io.debezium.data.geometry.Geometry": lambda kind, value: geometry_text(plain(value)),
    "io.debezium.data.Bits": lambda kind, value: bits_text(
        plain(value), int(kind["connect.parameters"]["length"])),
}


def single_text(value):
    """The shortest text that is this float of 32 bits."""
    for digits in range(1, 10):
        found = f"{value:.{digits}g}"
        if struct.pack("<f", float(found)) == struct.pack("<f", value):
            return found
    raise ValueError(value)


def text_of(field, value):
    if value is None:
        return None
    kind = type_of(field)
    if isinstance(value, dict) and "$decimal" in value:
        return value["$decimal"]
    if kind.get("connect.name") in MEANINGS:
        return MEANINGS[kind["connect.name"]](kind, value)
    if isinstance(value, dict) and "$bytes_b64" in value:
        return "\\x" + base64.b64decode(value["$bytes_b64"]).hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind["type"] == "float":
        return single_text(value)
    if isinstance(value, float):
        return float_text(value)
    return str(value)


def image(fields, row):
    return row and {field["name"]: text_of(field, row[field["name"]]) for field in fields}


def expected(record, known):
    """The change that decoded.jsonl tells of; None: a tombstone behind its delete."""
    value = known["value"]
    key_schema = SCHEMAS.get(known.get("key_schema_id"))
    key = known["key"] and image(key_schema["fields"], known["key"])
    found = {name: record[name] for name in ("topic", "partition", "offset")}
    found.update(schema="avro_src", table=record["topic"].rpartition(".")[2], key=key)
    if value is None:
        return None
    schema = SCHEMAS[known["value_schema_id"]]
    before = next(field for field in schema["fields"] if field["name"] == "before")
    fields = type_of(before)["fields"]
    found.update(op=value["op"], before=image(fields, value["before"]),
                 after=image(fields, value["after"]),
                 source_ts=microseconds(value["source"]["ts_us"]))
    return found


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.name)
def test_captured(binary, path):
    found = {(line["partition"], line["offset"]): line for line in
             decode(binary, path, "--format", "debezium-avro", "--registry", REGISTRY)}
    wanted = {}
    for record in read_lines(path):
        known = DECODED[record["topic"], record["partition"], record["offset"]]
        change = expected(record, known)
        if change:
            wanted[record["partition"], record["offset"]] = change
    assert wanted and found == wanted


def test_captured_schema_changes_are_passed(binary):
    assert decode(binary, FOLDER / "av.jsonl", "--format", "debezium-avro", "--registry",
                  REGISTRY) == []


def test_ids_in_headers(binary, tmp_path):
    """As Apicurio's converter writes them unless it is told otherwise: the value has no magic byte,
    and begins with 0 for its before image, which is null."""
    lines = decode(binary, FOLDER / "headers.jsonl", "--format", "debezium-avro", "--registry",
                   REGISTRY)
    assert lines and all("global id" in line["error"] for line in lines)


def confluent_header(number):
    return base64.b64encode(b"\0" + number.to_bytes(4, "big")).decode()


def test_ids_in_confluents_headers(binary, tmp_path):
    path = tmp_path / "records.jsonl"
    records = read_lines(FOLDER / "headers.jsonl")
    for record in records:
        record["headers_b64"] = [["__key_schema_id", confluent_header(13)],
                                 ["__value_schema_id", confluent_header(17)]]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    lines = decode(binary, path, "--format", "debezium-avro", "--registry", REGISTRY)
    assert len(lines) == len(records)
    assert {(line["op"], line["table"], line["key"]["b"]) for line in lines} >= {
        ("r", "composite", "x")}


# --- JSON records, written in Avro ---

FILES = [folder / "input.jsonl" for folder in CASES] + sorted(
    path for pattern in ("debezium-mysql/full.*jsonl", "debezium-mysql/flat.*jsonl",
                         "debezium-postgres/pg.*jsonl") for path in HERE.glob(pattern))
FEWEST = 250  # records that can be written in Avro


def compare(binary, path, tmp_path, null_first):
    schemas = Schemas(null_first)
    pairs = []
    for text in path.read_bytes().splitlines():
        try:
            record = json.loads(text)
        except ValueError:
            continue
        made = schemas.record(record) if isinstance(record, dict) and "topic" in record and \
            "value_b64" not in record else None
        if made:
            pairs.append((record, made))
    if not pairs:
        return 0
    as_json, as_avro = tmp_path / "json.jsonl", tmp_path / "avro.jsonl"
    as_json.write_text("".join(json.dumps(record) + "\n" for record, _ in pairs))
    as_avro.write_text("".join(json.dumps(made) + "\n" for _, made in pairs))
    known = decode(binary, as_json)
    found = decode(binary, as_avro, "--format", "debezium-avro", "--registry",
                   schemas.save(tmp_path / "schemas.json"))
    refused = {place(line) for line in known if "error" in line}
    assert {place(line) for line in found if "error" in line} <= refused, found
    assert [line for line in found if place(line) not in refused] == \
        [line for line in known if place(line) not in refused]
    return len(pairs)


def place(line):
    return line.get("topic"), line.get("partition"), line.get("offset")


def test_json_records_in_avro(binary, tmp_path):
    """Null stands first in the unions of one half, second in those of the other."""
    count = sum(compare(binary, path, tmp_path, number % 2 == 0)
                for number, path in enumerate(FILES))
    assert count >= FEWEST
