"""Write what the fuzzers start from: seeds.py FOLDER makes a folder of seeds for each fuzzer.

Records come from the golden cases, values from their columns, configurations from the examples and
the unit tests' cases.
"""

import base64
import json
import pathlib
import sys

TESTS = pathlib.Path(__file__).parent.parent
LARGEST = 20000

# What fuzz_conversions.c chooses by the first byte, in its order.
CONVERSIONS = [
    [b"", b"AA==", b"AAE=", b"AAEC", b"//79", b"AB==", b"AAA"],
    [b"0", b"-0.00", b"1.5E3", b"123456789.123456789", b"1e-16383", b"9e131071", b"+1", b"00.10"],
    [b"\2\0\0\0\0\0\0\0\x04\xd2", b"\0" * 8 + b"\x80" + b"\0" * 40, b"\xff" * 30,
     b"\xfe\xff\xff\xff\0\0\0\0\x7f"],
    [b"2025-12-19T08:02:27.123456Z", b"2024-02-29", b"-0044-03-15T24:00:00+05:30",
     b"+294247-01-10T04:00:54.775807Z", b"0001-01-01T00:00:00.9999999-00:00:01"],
    [b"13:51:30.123456", b"24:00:00", b"23:59:60", b"09:05", b"\xff" * 7 + b"\x7f"],
    [b'{"a":[1,-2.5e3,"\\u00e9\\ud83d\\ude00",null,true]}', b"-9223372036854775808",
     b"18446744073709551616", b'"\xc3\xa9"', b"[" * 520, b"NaN"],
    [b"P1Y2M3DT4H5M6.789S", b"P-1Y-2M", b"PT-0.000001S", b"P2147483647M", b"P1W"],
    [b"bigint unsigned", b"decimal(10,2)", b"timestamp us", b"bytes hex", b"varchar(20)[]"],
    [b"0.1", b"1e300", b"-3.4028235e38", b"4.9e-324", b"Infinity", b"123456789012345678"],
]

# Messages of AMQP 1.0: header, annotations, properties, application properties, bodies, footer.
AMQP_HEAD = bytes.fromhex("005370c0040240430a"[:-2]) + bytes.fromhex("005373c00501a1026d31")
AMQP_MESSAGES = [
    AMQP_HEAD + b"\0\x53\x75\xa0\x03abc\0\x53\x75\xa0\x01d",
    AMQP_HEAD + b'\0\x53\x77\xa1\x18{"source":{"lsn":1},"a":1}'[:-1] + b"}",
    b"\0\x53\x72\xc1\x09\x02\xa3\x02id\xa1\x0217" + b"\0\x53\x74\xc1\x0a\x02\xa1\x03key\xa1\x0217",
    b"\0\x53\x76\x45" + b"\0\x53\x78\xc1\x01\0",
]

# Samples of XML; fuzz_xml.c takes several, with a zero between them.
XML = [
    b'<order currency="EUR"><buyer>A &amp; B</buyer><total>12.50</total><lines><line sku="1" qty="3">'
    b'<discount>5</discount><discount>2.5</discount></line><line/></lines></order>',
    b'<p:a xmlns:p="urn:x" xmlns="urn:y" p:b="1"><c xml:lang="en">2026-01-31</c><d/></p:a>\0'
    b'<p:a xmlns:p="urn:x"><p:c>true</p:c><select/><select/></p:a>',
    b'<?xml version="1.0" encoding="ISO-8859-1"?><!-- x --><a><![CDATA[<b>]]>\xe9<?p i?></a>',
    b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"<a>" * 70 + b"</a>" * 70,
    b'<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>\0<a> 1 </a>',
]

# Heads for fuzz_encode.c: every target with a few meanings and kinds.
TARGETS, KINDS = 25, {"integer": 3, "number": 5, "text": 6, "bytes": 7, "json": 8}
VALUES = [
    ("integer", b"\x80\x51\x01\0\0\0\0\0"), ("integer", b"\xff" * 7 + b"\x7f"),
    ("number", b"12345.678"), ("number", b"-1e-400"), ("text", b"2025-12-19T08:02:27.123456Z"),
    ("text", b"13:51:30"), ("text", b"true"), ("text", b"12.50"), ("text", b"MTIzNA=="),
    ("text", b"5b6ee4f4-8b0f-4b3c-9d9e-0d6b0a3f2a11"), ("text", b"a,b,c"), ("text", b"P1DT2H"),
    ("bytes", b"\x04\xd2"), ("bytes", b"\x80" + b"\0" * 20),
    ("json", b'{"scale":2,"value":"BNI="}'), ("json", b'{"x":1.5,"y":2,"wkb":"AQEAAAA=","srid":1}'),
    ("json", b'["a",null,"b c",9999999999999999999]'), ("json", b'{"a":"b","c":null}'),
    ("json", b'{"dimensions":5,"vector":{"1":1.0}}'), ("json", b'{"year":2024,"month":2,"day":29}'),
]


def golden_records():
    """Every record of the golden cases: a name, its line, and its members."""
    for path in sorted((TESTS / "golden").glob("*/*.jsonl")):
        if path.name.startswith(("expect", "schema")) or path.parent.name == "debezium-avro":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            try:
                record = json.loads(line)
            except ValueError:
                record = {}
            if isinstance(record, dict):
                yield f"{path.parent.name}-{path.stem}-{number}", line, record


def write(folder, name, seed):
    folder.mkdir(parents=True, exist_ok=True)
    if len(seed) < LARGEST:
        (folder / name).write_bytes(seed)


def avro_seeds():
    """For fuzz_avro.c: the schema's length, the schema, a record without its magic byte and id."""
    folder = TESTS / "golden" / "debezium-avro"
    schemas = json.loads((folder / "schemas.json").read_text())
    for path in sorted(folder.glob("av*.jsonl")):
        for number, line in enumerate(path.read_text().splitlines()):
            record = json.loads(line)
            for part in ("key_b64", "value_b64"):
                data = base64.b64decode(record[part] or "")
                if not data:
                    continue
                schema = schemas[str(int.from_bytes(data[1:5], "big"))]["schema"].encode()
                yield (f"{path.stem}-{number}-{part}",
                       len(schema).to_bytes(2, "little") + schema + data[5:])
    for name, schema in {"recursive": {"type": "record", "name": "R", "fields": [
            {"name": "a", "type": ["null", "R"]}]}, "idle": {"type": "record", "name": "R", "fields": [
            {"name": "a", "type": {"type": "array", "items": "null"}}]}, "map": {
            "type": "record", "name": "R", "fields": [{"name": "m", "type": {
                "type": "map", "values": ["long", "string", {"type": "fixed", "name": "F",
                                                             "size": 12,
                                                             "logicalType": "duration"}]}}]}}.items():
        text = json.dumps(schema).encode()
        yield name, len(text).to_bytes(2, "little") + text + b"\2\2a\2\2b\0"


PROTO_SCHEMAS = [
    b'syntax = "proto3"; package a.b; import "google/protobuf/timestamp.proto"; '
    b'import "google/type/date.proto"; import "google/type/timeofday.proto"; message Row { '
    b"int32 a = 1; uint64 b = 2; string c = 3; repeated sint32 d = 4; map<string, int64> e = 5; "
    b"map<int32, bytes> f = 6; google.protobuf.Timestamp g = 7; google.type.Date h = 8; "
    b"google.type.TimeOfDay i = 9; oneof o { bool j = 10; double k = 11; } E l = 12; "
    b"N m = 13; repeated N n = 14; enum E { Z = 0; X = -1; } message N { optional float p = 1; } }",
    b'syntax = "proto2"; message R { required fixed64 a = 1; optional sfixed32 b = 2 [default = 5]; '
    b'extensions 100 to 200; reserved 7; }',
    b'syntax = "proto3"; package p.d.t; import "confluent/meta.proto"; '
    b'import "confluent/type/decimal.proto"; import "google/protobuf/wrappers.proto"; '
    b"message Envelope { Value before = 1; Value after = 2; Source source = 3; string op = 4; "
    b"int64 ts_ms = 5; message Value { int32 id = 1; confluent.type.Decimal v = 2 "
    b'[(confluent.field_meta) = {params: [{key: "scale", value: "2"}]}]; '
    b"google.protobuf.StringValue s = 3; } message Source { string table = 1; } }",
]
PROTO_RECORDS = [
    b"\0", b"\0\x08\x01\x10\x05\x1a\x01a\x22\x02\x01\x02\x2a\x05\x0a\x01k\x10\x07"
    b"\x32\x05\x08\x01\x12\x01v\x3a\x04\x08\x01\x10\x02\x42\x07\x08\xe8\x07\x10\x01\x18\x01"
    b"\x4a\x02\x08\x01\x50\x01\x60\x01\x6a\x05\x0d\0\0\0\x3f\x72\0",
    b"\0\x09\1\2\3\4\5\6\7\x08\x15\1\2\3\4", b"\0\x12\x13\x08\x05\x12\x08\x0a\x02\x04\xd2\x18\x02"
    b"\x1a\x03\x0a\x01x\x1a\x03\x0a\x01t\x22\x01c\x28\x07", b"\x04\0\0\x08\x01",
]


def main():
    corpus = pathlib.Path(sys.argv[1])
    for number, schema in enumerate(PROTO_SCHEMAS):
        for which, record in enumerate(PROTO_RECORDS):
            write(corpus / "fuzz_protobuf", f"{number}-{which}",
                  len(schema).to_bytes(2, "little") + schema + record)
    for name, seed in avro_seeds():
        write(corpus / "fuzz_avro", name, seed)
    for name, line, record in golden_records():
        text = (record.get("key") or "") + "\n" + (record.get("payload") or record.get("value") or "")
        fuzzer = "fuzz_maxwell" if name.startswith("maxwell") else "fuzz_debezium"
        for one in (fuzzer, "fuzz_auto", "fuzz_json"):
            write(corpus / one, name, text.encode("utf-8", "surrogatepass"))
        if name.endswith("-1"):  # as a serializer for JSON Schema writes it
            text = "".join("\0\0\0\0\7" + part + end for part, end in zip(text.split("\n", 1), ("\n", "")))
            for one in ("fuzz_debezium", "fuzz_auto", "fuzz_json"):
                write(corpus / one, name + "-framed", text.encode("utf-8", "surrogatepass"))
        write(corpus / "fuzz_records", name, line.encode("utf-8", "surrogatepass"))
    for number, message in enumerate(AMQP_MESSAGES):
        write(corpus / "fuzz_amqp", str(number), message)
    for number, document in enumerate(XML):
        write(corpus / "fuzz_xml", str(number), document)
    for choice, inputs in enumerate(CONVERSIONS):
        for number, text in enumerate(inputs):
            write(corpus / "fuzz_conversions", f"{choice}-{number}", bytes([choice]) + text)
    for target in range(TARGETS):
        for number, (kind, value) in enumerate(VALUES):
            for meaning in range((target + number) % 7, 45, 7):
                head = bytes([target, meaning, KINDS[kind], 0, 2, 0, 8, meaning % 16])
                write(corpus / "fuzz_encode", f"{target}-{number}-{meaning}", head + value)
    cases = TESTS / "unit" / "config"
    for path in [*(TESTS.parent / "config").glob("*.example"), *cases.glob("*/*.conf")]:
        write(corpus / "fuzz_config", path.name, path.read_bytes())
    daemon = (cases / "valid" / "defaults.conf").read_bytes()
    for path in cases.glob("*/*.yaml"):
        write(corpus / "fuzz_config", path.name, daemon + b"\0" + path.read_bytes())


if __name__ == "__main__":
    main()
