"""Maxwell's records in, changes out: `ods-sink decode --format maxwell` against what they mean.

The captured records (maxwell/: what Maxwell made of changes.sql there) are read here a second time,
by Python. The made cases state what must be printed.
"""

import json
import pathlib

import pytest
from test_golden import microseconds, nested_parsed, read_lines, run_decode

HERE = pathlib.Path(__file__).parent
CAPTURED = sorted((HERE / "maxwell").glob("*.jsonl"))
OPERATIONS = {"insert": "c", "bootstrap-insert": "r", "update": "u", "delete": "d"}
TS = 1_766_131_347


def decode(path):
    return run_decode(path, "--format", "maxwell")


def decode_records(records, folder):
    path = folder / "records.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return decode(path)


# --- captured records ---


def image(row):
    """Numbers by their own characters, JSON columns as what they hold."""
    return {name: value if value is None or isinstance(value, (list, dict)) else str(value)
            for name, value in row.items()}


def changes_of(value, key_names):
    """(op, key, before, after) of each change that a row's record tells of."""
    row, before, op = image(value["data"]), None, OPERATIONS[value["type"]]

    def key_of(row):
        return {name: row[name] for name in key_names} if key_names else None

    if op == "d":
        return [(op, key_of(row), row, None)]
    if op == "u":
        before = {**row, **image(value.get("old", {}))}
        if key_of(before) != key_of(row):
            return [("d", key_of(before), before, None), ("c", key_of(row), None, row)]
    return [(op, key_of(row), before, row)]


def expected_changes(path):
    for record in read_lines(path):
        value = json.loads(record["value"], parse_float=str, parse_int=str)
        of_maxwell = (value["database"], value.get("table")) == ("maxwell", "bootstrap")
        if value["type"] not in OPERATIONS or of_maxwell:
            continue
        names = [name[3:] for name in json.loads(record["key"]) if name.startswith("pk.")]
        for op, key, before, after in changes_of(value, names):
            yield {"topic": record["topic"], "partition": record["partition"],
                   "offset": record["offset"], "op": op, "schema": value["database"],
                   "table": value["table"], "key": key, "before": before, "after": after,
                   "source_ts": microseconds(int(value["ts"]) * 1_000_000)}


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.name)
def test_captured_records(path):
    printed, wanted = decode(path), list(expected_changes(path))
    assert len(printed) == len(wanted)
    for change, expected in zip(printed, wanted):
        for side in ("before", "after"):
            change[side] = nested_parsed(change[side], expected[side] or {})
        assert change == expected


def test_captured_records_are_there():
    """And tell of what they were captured for."""
    changes = [change for path in CAPTURED for change in expected_changes(path)]
    assert len(CAPTURED) == 10
    assert {change["op"] for change in changes} == {"c", "r", "u", "d"}
    assert any(change["key"] is None for change in changes)
    twice = [(change["op"], change["key"]) for change, other in zip(changes, changes[1:])
             if change["topic"] == other["topic"] and change["offset"] == other["offset"]
             and change["partition"] == other["partition"]]
    assert twice == [("d", {"a": "1", "b": "y"}), ("d", {"id": "4"})]


# --- made cases ---


def key(table="items", database="shop", **columns):
    return json.dumps({"database": database, "table": table,
                       **{f"pk.{name}": value for name, value in columns.items()}})


def value(kind, data=None, **members):
    """Members by name; one that is ... is left out."""
    record = {"database": "shop", "table": "items", "type": kind, "ts": TS, "xid": 7,
              "commit": True, "data": data, **members}
    return {name: member for name, member in record.items() if member is not ...}


NO_KEY = key(_uuid="x").replace("pk._uuid", "_uuid")
A, A_TEXT = {"id": 1, "name": "a"}, {"id": "1", "name": "a"}
B, B_TEXT = {"id": 1, "name": "b"}, {"id": "1", "name": "b"}
PAIR, PAIR_TEXT = {"a": 1, "b": "x", "v": 10}, {"a": "1", "b": "x", "v": "10"}
ID, ID_1 = key(id=1), {"id": "1"}
CREATED = [("c", ID_1, None, A_TEXT)]
KEYLESS = [("c", None, None, A_TEXT)]
DDL = {"def": {"table": "items", "columns": []}, "sql": "…", "ts": TS * 1000}

# name: (key, value, changes as (op, key, before, after)), none of them for what is passed over.
# A value that is text stands in the record as it is.
CASES = {
    "insert": (ID, value("insert", A), CREATED),
    "bootstrap-insert": (ID, value("bootstrap-insert", A), [("r", ID_1, None, A_TEXT)]),
    "update": (ID, value("update", B, old={"name": "a"}), [("u", ID_1, A_TEXT, B_TEXT)]),
    "update from null": (ID, value("update", B, old={"name": None}),
                         [("u", ID_1, {"id": "1", "name": None}, B_TEXT)]),
    "update without old": (ID, value("update", B), [("u", ID_1, B_TEXT, B_TEXT)]),
    "delete": (ID, value("delete", A), [("d", ID_1, A_TEXT, None)]),
    "members in another order": (
        ID, '{"old": {"name": "a"}, "gtid": null, "data": {"id": 1, "name": "b"}, "xoffset": 3, '
            f'"query": "update x", "ts": {TS}, "type": "update", "thread_id": 5, '
            '"table": "items", "primary_key": [1], "database": "shop"}',
        [("u", ID_1, A_TEXT, B_TEXT)]),
    "white space": (ID.replace(":", " : "), json.dumps(value("insert", A), indent=2), CREATED),
    # Keys.
    "array key": ('["shop", "items", [{"id": 1}]]', value("insert", A), CREATED),
    "array key of two": ('["shop", "items", [{"a": 1}, {"b": "x"}]]', value("insert", PAIR),
                         [("c", {"a": "1", "b": "x"}, None, PAIR_TEXT)]),
    "array key of none": ('["shop", "items", []]', value("insert", A), KEYLESS),
    "no key": (NO_KEY, value("insert", A), KEYLESS),
    "no record key": (None, value("insert", A), KEYLESS),
    "primary_key_columns": (None, value("insert", A, primary_key_columns=["id"]), CREATED),
    "primary_key_columns of two": (
        None, value("insert", PAIR, primary_key=[1, "x"], primary_key_columns=["a", "b"]),
        [("c", {"a": "1", "b": "x"}, None, PAIR_TEXT)]),
    "no primary_key_columns": (None, value("insert", A, primary_key_columns=[]), KEYLESS),
    "upper case": (ID, value("insert", {"Id": 1, "NAME": "a"}),
                   [("c", {"Id": "1"}, None, {"Id": "1", "NAME": "a"})]),
    "the same case goes before": (key(id=2), value("insert", {"ID": 1, "id": 2}),
                                  [("c", {"id": "2"}, None, {"ID": "1", "id": "2"})]),
    "_uuid of a table without key, as an array": ('["shop", "items", [{"_uuid": "9b1c"}]]',
                                                  value("insert", A), KEYLESS),
    "a column named _uuid is a key": (
        '["shop", "items", [{"_uuid": "x"}]]', value("insert", {"_uuid": "x"}),
        [("c", {"_uuid": "x"}, None, {"_uuid": "x"})]),
    # Another key.
    "key change": (key(id=2), value("update", {"id": 2, "name": "b"}, old={"id": 1, "name": "a"}),
                   [("d", ID_1, A_TEXT, None), ("c", {"id": "2"}, None, {"id": "2", "name": "b"})]),
    "key change of one of two": (
        key(a=1, b="x"), value("update", PAIR, old={"b": "y"}),
        [("d", {"a": "1", "b": "y"}, {**PAIR_TEXT, "b": "y"}, None),
         ("c", {"a": "1", "b": "x"}, None, PAIR_TEXT)]),
    "key change of two": (
        '["shop", "items", [{"a": 1}, {"b": "x"}]]', value("update", PAIR, old={"a": 2, "b": "y"}),
        [("d", {"a": "2", "b": "y"}, {**PAIR_TEXT, "a": "2", "b": "y"}, None),
         ("c", {"a": "1", "b": "x"}, None, PAIR_TEXT)]),
    "key change in upper case": (
        key(id=2), value("update", {"ID": 2}, old={"ID": 1}),
        [("d", {"ID": "1"}, {"ID": "1"}, None), ("c", {"ID": "2"}, None, {"ID": "2"})]),
    "key change by primary_key_columns": (
        None, value("update", {"id": 2}, old={"id": 1}, primary_key_columns=["id"]),
        [("d", ID_1, ID_1, None), ("c", {"id": "2"}, None, {"id": "2"})]),
    "the same key in old": (ID, value("update", B, old={"id": 1, "name": "a"}),
                            [("u", ID_1, A_TEXT, B_TEXT)]),
    "no key to change": (NO_KEY, value("update", {"id": 2}, old={"id": 1}),
                         [("u", None, ID_1, {"id": "2"})]),
    # Names and values.
    "names": (
        '{"database": "s\\"h", "table": "t\\u00e4\\\\b", "pk.i\\u00e9": 1}',
        '{"database": "s\\"h", "table": "tä\\\\b", "type": "update", "ts": %d, "data": '
        '{"ié": 1, "a\\"b": 2, "c\\td": "x", "\\ud83d\\ude00": null}, "old": '
        '{"a\\u0022b": 1, "😀": "\\u0041"}}' % TS,
        [("u", {"ié": "1"}, {"ié": "1", 'a"b': "1", "c\td": "x", "😀": "A"},
          {"ié": "1", 'a"b': "2", "c\td": "x", "😀": None})]),
    "large numbers": (
        key(id=2**64 - 1), f'{{"database": "shop", "table": "items", "type": "insert", "ts": {TS}, '
        '"data": {"id": 18446744073709551615, "dec": 1234567890123456789012345678.0123456780, '
        '"money": 10.50, "least": -9223372036854775808, "small": -1E-10}}',
        [("c", {"id": str(2**64 - 1)}, None,
          {"id": str(2**64 - 1), "dec": "1234567890123456789012345678.0123456780",
           "money": "10.50", "least": str(-2**63), "small": "-1E-10"})]),
    "a JSON string, and text": (ID, value("insert", {"id": 1, "j": "str", "k": ""}),
                                [("c", ID_1, None, {"id": "1", "j": "str", "k": ""})]),
    "a table that is called bootstrap": (
        key("bootstrap", id=1), value("insert", A, table="bootstrap"), CREATED),
    "a database that is called maxwell": (
        key(database="maxwell", id=1), value("insert", A, database="maxwell"), CREATED),
    # What is no row.
    "bootstrap-start": (key(id=None), value("bootstrap-start", {}), []),
    "bootstrap-complete": (NO_KEY, value("bootstrap-complete", {}), []),
    "bootstrap-complete without data": (NO_KEY, value("bootstrap-complete", ...), []),
    **{f"Maxwell's own {kind}": (
        key("bootstrap", "maxwell", id=1),
        value(kind, {"id": 1}, database="maxwell", table="bootstrap"), [])
       for kind in ("insert", "update", "delete")},
    **{kind: ("bc843cf3-7ffe-401c-ab08-018135f9b2d9", value(kind, ..., **DDL), [])
       for kind in ("table-create", "table-alter", "table-drop")},
    **{kind: (None, value(kind, ..., table=..., charset="utf8mb4", sql="…"), [])
       for kind in ("database-create", "database-alter", "database-drop")},
    "tombstone": (ID, None, ["a tombstone", "on_tombstone: ignore"]),
    "tombstone without key": (None, None, ["a tombstone"]),
}

ENVELOPE = {"before": None, "after": A, "source": {"db": "shop", "table": "items"}, "op": "c",
            "ts_ms": TS * 1000}
WHOLE = json.dumps(value("insert", A))

# name: (key, value, what the error has to say in any case)
REFUSED = {
    "zero bytes": (ID, "", ["json object"]),
    "white space alone": (ID, " ", ["json object"]),
    "truncated": (ID, WHOLE[:-2], ["json"]),
    "truncated in data": (ID, WHOLE[:WHOLE.index('"name"') + 3], ["json"]),
    "more behind it": (ID, WHOLE + " x", ["json"]),
    "no JSON": (ID, "insert", ["json"]),
    "half a character": (ID, WHOLE.replace('"a"', '"\\ud800"'), ["json"]),
    "array": (ID, "[1]", ["array", "json object"]),
    "string": (ID, '"insert"', ["string", "json object"]),
    "number": (ID, "42", ["number", "json object"]),
    "empty object": (ID, "{}", ["expected", "type"]),
    "a Debezium envelope": (ID, ENVELOPE, ["expected", "type"]),
    "a Debezium record with schema": ('{"schema": {}, "payload": {"id": 1}}',
                                      {"schema": {"type": "struct"}, "payload": ENVELOPE},
                                      ["expected", "type"]),
    "unknown type": (ID, value("replace", A), ["replace", "insert"]),
    "no type": (ID, value(..., A), ["expected", "type"]),
    "type that is no text": (ID, value(5, A), ["type"]),
    "no table": (ID, value("insert", A, table=...), ["table"]),
    "no database": (ID, value("insert", A, database=...), ["database"]),
    "no data": (ID, value("insert", ...), ["data"]),
    **{f"data that is {data!r}": (ID, value("insert", data), ["data"])
       for data in (None, 5, "text", [A])},
    "old that is no object": (ID, value("update", A, old=5), ["old"]),
    "encrypted": (ID, {"encrypted": {"iv": "AQID", "bytes": "AQID"}}, ["encrypt"]),
    "encrypted data": (ID, value("insert", ..., encrypted={"iv": "AQID", "bytes": "AQID"}),
                       ["encrypt"]),
    "a key column that data lacks": (key(order_no=1), value("insert", A), ["order_no"]),
    "a key column that data lacks, by primary_key_columns": (
        None, value("insert", A, primary_key_columns=["order_no"]), ["order_no"]),
    "a column twice in the key": (ID.replace("}", ', "pk.ID": 1}'), value("insert", A),
                                  ["twice", "id"]),
    "a key that is no JSON": ("id=1", value("insert", A), ["key"]),
    "a truncated key": (ID[:-2], value("insert", A), ["key"]),
}


def record(case, offset=0):
    text = case[1] if isinstance(case[1], (str, type(None))) else json.dumps(case[1])
    return {"topic": "mx.items", "partition": 0, "offset": offset, "ts": TS * 1000 + 9,
            "headers": [], "key": case[0], "value": text}


def place(case, offset):
    """Of the table that the value names."""
    named = case[1] if isinstance(case[1], dict) else json.loads(case[1])
    return {"topic": "mx.items", "partition": 0, "offset": offset, "schema": named["database"],
            "table": named["table"], "source_ts": microseconds(TS * 1_000_000)}


def assert_printed(case, printed, offset=0):
    expected = case[2]
    if expected and isinstance(expected[0], str):
        assert [line["offset"] for line in printed] == [offset]
        text = printed[0].get("error", "(no error)").lower()
        assert all(part in text for part in expected), text
        return
    assert printed == [dict(place(case, offset), op=op, key=row_key, before=before, after=after)
                       for op, row_key, before, after in expected]


@pytest.mark.parametrize("name", [*CASES, *REFUSED])
def test_case(name, tmp_path):
    case = {**CASES, **REFUSED}[name]
    assert_printed(case, decode_records([record(case)], tmp_path))


@pytest.mark.parametrize("order", [1, -1], ids=["forwards", "backwards"])
def test_cases_do_not_disturb_each_other(tmp_path, order):
    """Tables, columns and keys change from record to record of one topic."""
    cases = [*CASES.values(), *REFUSED.values(), *CASES.values()][::order]
    printed = decode_records([record(case, offset) for offset, case in enumerate(cases)], tmp_path)
    assert printed == sorted(printed, key=lambda line: line["offset"])
    for offset, case in enumerate(cases):
        assert_printed(case, [line for line in printed if line["offset"] == offset], offset)


def test_table_that_a_record_names_twice_is_no_other_tables(tmp_path):
    """The last name counts, for this record alone."""
    twice = '{"database":"shop","table":"items","type":"insert","ts":1,"data":' \
            '{"id":1,"name":"a"},"table":"others"}'
    cases = [CASES["insert"], (ID, twice, None), CASES["insert"]]
    printed = decode_records([record(case, offset) for offset, case in enumerate(cases)], tmp_path)
    assert [line["table"] for line in printed] == ["items", "others", "items"]


def test_payload_is_another_name_of_value(tmp_path):
    lines = [record(case, offset) for offset, case in enumerate(CASES.values())]
    renamed = [{"payload" if name == "value" else name: part for name, part in line.items()}
               for line in lines]
    assert decode_records(renamed, tmp_path) == decode_records(lines, tmp_path)


def test_old_with_a_column_that_data_lacks(tmp_path):
    """With output_nulls=false data lacks what is NULL: the column was 5, and is NULL now. To leave
    it as it was would be wrong; to refuse the record is not."""
    case = (ID, value("update", B, old={"name": "a", "gone": 5}), None)
    line, = decode_records([record(case)], tmp_path)
    assert "gone" in line["error"] and "output_nulls" in line["error"]
