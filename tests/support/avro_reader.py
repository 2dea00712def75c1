"""Reads records in Avro with fastavro, which others wrote: a line of JSON in, a line of JSON out. Run by the
Python of scripts/avro-reader, whose packages the tests' own does not have."""

import base64
import datetime
import decimal
import io
import json
import math
import sys

import fastavro

schemas = {}


def shown(value):
    """What JSON has no form for, by its kind."""
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, decimal.Decimal):
        return {"decimal": str(value)}
    if isinstance(value, (datetime.date, datetime.datetime)):
        return {"moment": value.isoformat()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, dict):
        return {key: shown(part) for key, part in value.items()}
    if isinstance(value, list):
        return [shown(part) for part in value]
    return value


def read(schema, record):
    if schema not in schemas:
        schemas[schema] = fastavro.parse_schema(json.loads(schema))
    data = io.BytesIO(base64.b64decode(record))
    value = fastavro.schemaless_reader(data, schemas[schema])
    rest = data.read()
    assert not rest, f"{len(rest)} bytes behind the record"
    return shown(value)


decimal.getcontext().prec = 1000
for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = {"answer": read(asked["schema"], asked["record"])}
    except Exception as problem:  # whatever it is, the test that asked is to show it
        answer = {"error": f"{type(problem).__name__}: {problem}"}
    print(json.dumps(answer), flush=True)
