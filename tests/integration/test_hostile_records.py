"""Records that nobody sends by accident: each is read or refused at once. What is quadratic in a
megabyte would not be over before PATIENCE_S, on any machine; what is there takes a tenth of a second.
"""

import base64
import json
import subprocess

import pytest
from conftest import build

COLUMNS = 100_000
PATIENCE_S = 60
DECIMAL = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal",
           "parameters": {"scale": "2"}}
INTEGERS = {"type": "array", "items": {"type": "array", "items": {"type": "int32"}}}


def envelope(after, table="t"):
    return '{"before":null,"after":%s,"source":{"db":"d","table":"%s"},"op":"c"}' % (after, table)


def members(prefix, count):
    return "{" + ",".join(f'"{prefix}{number}":1' for number in range(count)) + "}"


def typed(field, after):
    image = {"type": "struct", "field": "after", "fields": [{**field, "field": "a"}]}
    schema = {"type": "struct", "name": "p.d.t.Envelope", "fields": [
        image, {"type": "struct", "fields": [], "field": "source"},
        {"type": "string", "field": "op"}]}
    return json.dumps({"schema": schema, "payload": 0})[:-2] + envelope(after) + "}"


# name: value, key, and what the refusal says (None: it is read)
RECORDS = {
    "a long column name": (envelope('{"%s":1}' % ("n" * 1_000_000)), None, None),
    "a long table name": (envelope('{"a":1}', "n" * 1_000_000), None, None),
    "many columns": (envelope(members("c", COLUMNS)), None, None),
    "many columns of a key": (envelope(members("c", COLUMNS)), members("k", COLUMNS), None),
    "too many columns": (envelope(members("c", COLUMNS + 1)), None, "more than 100000 members"),
    "a long number": (envelope('{"a":%s}' % ("9" * 1_000_000)), None, None),
    "a long decimal": (typed(DECIMAL, '{"a":%s}' % ("9" * 1_000_000)), None, "beyond PostgreSQL"),
    "a great exponent": (typed(DECIMAL, '{"a":1E999999999}'), None, "beyond PostgreSQL"),
    "the longest decimal": (typed(DECIMAL, '{"a":"%s"}' % base64.b64encode(
        b"\x7f" + bytes(54_000)).decode()), None, None),
    "a longer decimal": (typed(DECIMAL, '{"a":"%s"}' % base64.b64encode(
        b"\x7f" * 1_000_000).decode()), None, "more digits than"),
    "brackets": (envelope('{"a":%s1%s}' % ("[" * 500_000, "]" * 500_000)), None, "nested"),
    "brackets of an array": (typed(INTEGERS, '{"a":%s1%s}' % ("[" * 500, "]" * 500)), None, None),
    "braces of a schema": ('{"schema":%s1%s,"payload":{}}' % ('{"a":' * 100_000, "}" * 100_000),
                           None, "nested"),
    "an unterminated text": ('{"after":{"a":"' + "x" * 1_000_000, None, "ends inside a string"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_hostile_records(name):
    value, key, refusal = RECORDS[name]
    line = json.dumps({"topic": "p.d.t", "partition": 0, "offset": 0, "key": key,
                       "payload": value})
    done = subprocess.run([build("release"), "decode", "-"], input=line + "\n", text=True,
                          capture_output=True, timeout=PATIENCE_S)
    error = json.loads(done.stdout).get("error")
    assert refusal in error if refusal else not error, done.stdout[:500]
