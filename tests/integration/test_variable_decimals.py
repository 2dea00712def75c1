"""{"scale":0,"value":"AQ=="} without schema: Oracle's NUMBER and PostgreSQL's numeric without scale
are numbers in every column that takes one, and in keys."""

import json

import pytest
from lib.records import pipeline
from lib.sink import read_lines

CLOCK = 1_760_000_000_000


def number(value, scale=0):
    """As VariableScaleDecimal in JSON: base64 of the unscaled number, big-endian."""
    import base64
    length = max(1, (value.bit_length() + 8) // 8)
    return {"scale": scale,
            "value": base64.b64encode(value.to_bytes(length, "big", signed=True)).decode()}


# column, number, what stands there (None: a dead letter)
VALUES = [
    ("smallint", number(-12), "-12"), ("integer", number(1), "1"), ("bigint", number(2**62), str(2**62)),
    ("integer", number(120, 1), "12"), ("integer", number(125, 1), None),
    ("integer", number(2**40), None), ("numeric", number(12345, 3), "12.345"),
    ("numeric(5,2)", number(12345, 2), "123.45"), ("numeric(5,2)", number(12345, 3), None),
    ("double precision", number(15, 1), "1.5"), ("real", number(-25, 2), "-0.25"),
    ("double precision", number(10**30 + 1), None), ("text", number(12345, 2), "123.45"),
    ("text", number(5, -2), "500"), ("varchar(3)", number(12345), None), ("boolean", number(1), "true"),
    ("boolean", number(0), "false"), ("boolean", number(2), None), ("money", number(150, 2), "$1.50"),
    ("price", number(150, 2), "1.50"), ("oid", number(7), "7"),
    ("integer[]", [number(1), None, number(-300)], "{1,NULL,-300}"),
    ("numeric[]", [number(15, 1)], "{1.5}"), ("text[]", [number(15, 1)], "{1.5}"),
    ("double precision[]", [number(15, 1)], "{1.5}"),
    # What is no such number stays what it is.
    ("text", {"scale": 0, "value": "AQ==", "x": 1}, '{"scale": 0, "value": "AQ==", "x": 1}'),
    ("text", {"scale": 0, "value": "no base64"}, '{"scale": 0, "value": "no base64"}'),
    ("jsonb", number(1), '{"scale": 0, "value": "AQ=="}'),
]


def record(table, offset, key, payload):
    return {"topic": f"x.public.{table}", "partition": 0, "offset": offset, "ts": CLOCK, "headers": [],
            "key": json.dumps(key), "payload": None if payload is None else json.dumps(payload)}


def change(table, operation, row, flat=False):
    if flat:
        return {**row, "__op": operation, "__table": table, "__source_ts_ms": CLOCK,
                "__deleted": "true" if operation == "d" else "false"}
    source = {"connector": "oracle", "ts_ms": CLOCK, "db": "d", "schema": "public", "table": table}
    return {"op": operation, "source": source, "before": row if operation == "d" else None,
            "after": None if operation == "d" else row}


@pytest.mark.parametrize("flat", [False, True], ids=["envelope", "flat"])
def test_values(sink, database, tmp_path, flat):
    database.execute("create domain price as numeric(5,2)")
    records = []
    for index, (column, value, _) in enumerate(VALUES):
        database.execute(f"create table t{index} (id int primary key, v {column})")
        row = {"id": 1, "v": value}
        records.append(record(f"t{index}", 0, {"id": 1}, change(f"t{index}", "c", row, flat)))
    sink.write(pipeline(r"^x\..*", source={"connector": "oracle"},
                        defaults={"cdc_operation": "off", "cdc_timestamp": "off",
                                  "on_delete": "hard"}), database=database)
    sink.replay(records, dead_letter=tmp_path / "dead")
    letters = {letter["topic"] for letter in read_lines(tmp_path / "dead")}
    for index, (column, value, expected) in enumerate(VALUES):
        found = database.execute(f"select v::text from t{index}")
        assert found == ([(expected,)] if expected else []), (column, value)
        assert (f"x.public.t{index}" in letters) == (expected is None), (column, value)


@pytest.mark.parametrize("flat", [False, True], ids=["envelope", "flat"])
@pytest.mark.parametrize("column, shown", [("integer", "1"), ("bigint", "1"), ("numeric", "1"),
                                           ("text", "1"), ("double precision", "1")])
def test_keys(sink, database, tmp_path, column, shown, flat):
    """Rows are found again by updates, deletes and the tombstones behind them."""
    database.execute(f"create table k (id {column} primary key, v int)")
    sink.write(pipeline(r"^x\..*", source={"connector": "oracle"},
                        defaults={"cdc_operation": "off", "cdc_timestamp": "off",
                                  "on_delete": "hard"}), database=database)
    keys = [{"id": number(n)} for n in (1, 2, 3)]
    rows = [{**key, "v": n} for n, key in enumerate(keys)]
    records = [record("k", n, key, change("k", "c", row, flat))
               for n, (key, row) in enumerate(zip(keys, rows))]
    records += [record("k", 3, keys[0], change("k", "u", {**keys[0], "v": 10}, flat)),
                record("k", 4, keys[1], change("k", "d", rows[1], flat)),
                record("k", 5, keys[1], None)]
    sink.replay(records, dead_letter=tmp_path / "dead")
    assert database.execute("select id::text, v from k order by 1") == [(shown, 10), ("3", 2)]
    assert not (tmp_path / "dead").exists() or not read_lines(tmp_path / "dead")
