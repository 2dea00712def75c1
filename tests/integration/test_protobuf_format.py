"""Protobuf and its registry: records of Google's library against what comes out of the sink, schemas
with imports, ids in headers, and records and schemas that lie."""

import base64
import json
import struct
import subprocess

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from lib.protobuf import Schemas, lengthened, path_bytes, varint
from lib.records import INT, TEXT, Table, row
from lib.registry import Registry
from test_connect_clusters import Cluster

COMMON = """
syntax = "proto3";
package shop.common;
enum Color { COLOR_NONE = 0; RED = 1; option allow_alias = true; ROT = 1; BLUE = -7; }
message Address { string street = 1; repeated int32 floors = 2; optional string zip = 3; }
"""

ORDERS = """
syntax = "proto3";
package shop;
import "common.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/duration.proto";
message Unused { int32 a = 1; }
message Orders {
  message Line { int32 number = 1; map<string, double> prices = 2; }
  map<int32, string> notes = 40;
  int32 i32 = 1; int64 i64 = 2; uint32 u32 = 3; uint64 u64 = 4; sint32 s32 = 5; sint64 s64 = 6;
  fixed32 f32 = 7; fixed64 f64 = 8; sfixed32 sf32 = 9; sfixed64 sf64 = 10;
  float real = 11; double precise = 12; bool flag = 13; string text = 14; bytes raw = 15;
  common.Color color = 16;
  common.Address address = 17;
  repeated sint64 many = 18;
  repeated common.Address places = 19;
  repeated common.Color colors = 20;
  map<string, int64> counts = 21;
  map<string, common.Address> homes = 22;
  optional int32 maybe = 23; google.protobuf.StringValue wrapped = 24;
  google.protobuf.UInt64Value wide = 25;
  google.protobuf.Timestamp at = 26; google.protobuf.Duration took = 27;
  oneof choice { string word = 28; int32 digit = 29; }
  repeated Line lines = 30;
  repeated fixed32 old = 31 [packed = false];
  repeated double reals = 536870911;
}
"""

FULL = {
    "i32": -2147483648, "i64": "-9223372036854775808", "u32": 4294967295,
    "u64": "18446744073709551615", "s32": -2147483648, "s64": "-9223372036854775808",
    "f32": 4294967295, "f64": "18446744073709551615", "sf32": -2147483648,
    "sf64": "-9223372036854775808", "real": 0.1, "precise": 0.1, "flag": True,
    "text": "\u20ac\U0001f600", "raw": base64.b64encode(b"\0\xff").decode(), "color": "BLUE",
    "address": {"street": "s", "floors": [1, -1, 300]}, "many": ["-1", "9223372036854775807"],
    "places": [{"zip": ""}, {"street": "t", "floors": [0]}], "colors": ["RED", "COLOR_NONE"],
    "counts": {"": "1", "b": "0"}, "homes": {"h": {"street": "u"}, "none": {}}, "maybe": 0,
    "wrapped": "", "wide": "18446744073709551615", "at": "0001-01-01T00:00:00.000000001Z",
    "took": "3.5s", "digit": 0, "lines": [{"number": 1, "prices": {"eur": 1.5}}],
    "old": [1, 4294967295], "reals": [0.5, -0.0], "notes": {"-3": "n"},
}

NO_ADDRESS = {"street": "", "floors": [], "zip": None}


def array(*items):
    """PostgreSQL's array of JSON texts."""
    texts = [json.dumps(item, separators=(",", ":")) for item in items]
    return "{" + ",".join('"' + text.replace('"', '\\"') + '"' for text in texts) + "}"


ROW = {
    "i32": "-2147483648", "i64": "-9223372036854775808", "u32": "4294967295",
    "u64": "18446744073709551615", "s32": "-2147483648", "s64": "-9223372036854775808",
    "f32": "4294967295", "f64": "18446744073709551615", "sf32": "-2147483648",
    "sf64": "-9223372036854775808", "real": "0.1", "precise": "0.1", "flag": "true",
    "text": "\u20ac\U0001f600", "raw": "\\x00ff", "color": "BLUE",
    "address": {**NO_ADDRESS, "street": "s", "floors": [1, -1, 300]},
    "many": "{-1,9223372036854775807}",
    "places": array({**NO_ADDRESS, "zip": ""}, {**NO_ADDRESS, "street": "t", "floors": [0]}),
    "colors": "{RED,COLOR_NONE}", "counts": {"": 1, "b": 0},
    "homes": {"h": {**NO_ADDRESS, "street": "u"}, "none": NO_ADDRESS}, "maybe": "0",
    "wrapped": "", "wide": "18446744073709551615", "at": "0001-01-01 00:00:00.000000001+00",
    "took": {"seconds": 3, "nanos": 500000000}, "word": None, "digit": "0",
    "lines": array({"number": 1, "prices": {"eur": 1.5}}), "old": "{1,4294967295}",
    "reals": "{0.5,-0}", "notes": [[-3, "n"]],
}
EMPTY = {
    **{name: "0" for name in ("i32", "i64", "u32", "u64", "s32", "s64", "f32", "f64", "sf32", "sf64",
                              "real", "precise")},
    "flag": "false", "text": "", "raw": "\\x", "color": "COLOR_NONE",
    **{name: {} for name in ("many", "places", "colors", "lines", "old", "reals")},
    "notes": [], "counts": {}, "homes": {},
    **{name: None for name in ("address", "maybe", "wrapped", "wide", "at", "took", "word",
                               "digit")},
}


@pytest.fixture(scope="module")
def protoc(tmp_path_factory):
    """Google's compiler and library: text files to a function that gives messages' classes."""
    def compiled(**files):
        folder = tmp_path_factory.mktemp("proto")
        for name, text in files.items():
            (folder / f"{name}.proto").write_text(text)
        subprocess.run(["protoc", "-I", folder, "--include_imports", "--descriptor_set_out",
                        folder / "set", *(f"{name}.proto" for name in files)], check=True,
                       cwd=folder)
        found = descriptor_pb2.FileDescriptorSet.FromString((folder / "set").read_bytes())
        pool = descriptor_pool.DescriptorPool()
        for file in found.file:
            pool.Add(file)
        factory = message_factory.MessageFactory(pool)
        return found, lambda name: factory.GetPrototype(pool.FindMessageTypeByName(name))
    return compiled


def registered(*, base64_of=None):
    """The two files as a registry has them, the second one's id last."""
    schemas = Schemas()
    schemas.add(COMMON, kind="PROTOBUF", subject="common.proto", version=3)
    reference = {"name": "common.proto", "subject": "common.proto", "version": 3}
    return schemas, schemas.add(base64_of or ORDERS, references=[reference], kind="PROTOBUF")


def framed(identity, message, path=(0,)):
    return b"\0" + struct.pack(">i", identity) + path_bytes(path) + message


def line(value, offset=0, topic="shop.orders", key=None, headers=None):
    return {"topic": topic, "partition": 0, "offset": offset, "headers": headers or [],
            "key_b64": key and base64.b64encode(key).decode(),
            "value_b64": None if value is None else base64.b64encode(value).decode()}


def decode(binary, folder, url, lines, form="protobuf"):
    path = folder / "records.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    done = subprocess.run([binary, "decode", "--format", form, "--registry", url, path],
                          capture_output=True, check=False)
    assert done.returncode in (0, 1) and not done.stderr, done.stderr.decode()
    return [json.loads(text) for text in done.stdout.decode().splitlines()]


def plain(image):
    """Nested values are JSON in a text, arrays of single ones as PostgreSQL writes them."""
    def read(value):
        try:
            return json.loads(value) if value and value[0] in "[{" else value
        except ValueError:
            return value
    return {name: read(value) for name, value in image.items()}


def test_what_googles_library_writes(binary, protoc, tmp_path):
    found, classes = protoc(common=COMMON, orders=ORDERS)
    orders = classes("shop.Orders")
    full = json_format.ParseDict(FULL, orders()).SerializeToString()
    own = next(file for file in found.file if file.name == "orders.proto")
    for text in (None, base64.b64encode(own.SerializeToString()).decode()):
        schemas, identity = registered(base64_of=text)
        url = schemas.save(tmp_path / "schemas.json")
        # what stands there twice counts as it stands last
        changes = decode(binary, tmp_path, url, [
            line(framed(identity, full, [1])), line(framed(identity, b"", [1]), 1),
            line(framed(identity, varint(1 << 3) + varint(5) + full, [1]), 2),
            line(framed(identity, lengthened(31, struct.pack("<II", 1, 4294967295)), [1]), 3)])
        expected = [ROW, EMPTY, ROW, {**EMPTY, "old": "{1,4294967295}"}]
        for change, wanted in zip(changes, expected, strict=True):
            after = plain(change["after"])
            assert after.keys() == wanted.keys()
            assert {name: (after[name], wanted[name]) for name in wanted
                    if after[name] != wanted[name]} == {}
        assert changes[0]["table"] == "orders"


def test_envelopes_as_google_reads_them(binary, protoc, tmp_path):
    """What lib/protobuf.py writes is what Google's library would have written."""
    table = Table("t", prefix="own", columns={"id": INT, "name": TEXT, "amount": INT})
    schemas = Schemas()
    made = schemas.record(table.update(row(1), {**row(1), "name": None}))
    value = base64.b64decode(made["value_b64"])
    text = schemas.by_id[struct.unpack(">i", value[1:5])[0]]["schema"]
    _, classes = protoc(envelope=text)
    envelope = classes("own.shop.t.Envelope").FromString(value[6:])
    assert envelope.op == "u" and envelope.after.id == 1
    assert envelope.before.name == "n1" and not envelope.after.HasField("name")
    assert envelope.SerializeToString() == value[6:]
    url = schemas.save(tmp_path / "schemas.json")
    told, named = (decode(binary, tmp_path, url, [made], form)
                   for form in ("auto", "debezium-protobuf"))
    assert told == named and named[0]["after"] == {"id": "1", "name": None, "amount": "0"}


def test_ids_in_headers(binary, protoc, tmp_path):
    _, classes = protoc(common=COMMON, orders=ORDERS)
    message = classes("shop.Orders")(i32=7).SerializeToString()
    schemas, identity = registered()
    header = b"\0" + struct.pack(">i", identity) + path_bytes([1])
    made = {**line(message), "headers_b64": [["__value_schema_id",
                                              base64.b64encode(header).decode()]]}
    [change] = decode(binary, tmp_path, schemas.save(tmp_path / "schemas.json"), [made])
    assert change["after"]["i32"] == "7"


def test_keys_and_deletes(binary, tmp_path):
    """A key that is a message, one that is a single value, and tombstones."""
    schemas = Schemas()
    key = {"type": "struct", "name": "s.c.Key", "fields": [{"field": "id", "type": "int32"}]}
    value = {"type": "struct", "name": "s.c.Value", "fields": [
        {"field": "id", "type": "int32"}, {"field": "v", "type": "string", "optional": True}]}
    keys = [schemas.framed(key, {"id": 3})]
    lines = [line(schemas.framed(value, {"id": 3, "v": None}), 0, "s.c", keys[0]),
             line(None, 1, "s.c", keys[0])]
    put, gone = decode(binary, tmp_path, schemas.save(tmp_path / "schemas.json"), lines)
    assert (put["after"], put["key"]) == ({"id": "3", "v": None}, {"id": "3"})
    assert (gone["op"], gone["key"]) == ("d", {"id": "3"})


def errors(binary, folder, schemas, lines, form="protobuf"):
    return [made.get("error", "") for made in
            decode(binary, folder, schemas.save(folder / "schemas.json"), lines, form)]


def test_records_that_lie(binary, tmp_path):
    schemas, identity = registered()
    one = framed(identity, b"", [1])
    cases = {
        b"\x08": "ends beyond",  # no value
        b"\x08\x80": "ends beyond",
        b"\x08" + b"\xff" * 10 + b"\1": "ends beyond",
        b"\0\0": "a tag that is none",
        b"\x0f\0": "wire type is not read",
        b"\x0b\x0c": "wire type is not read",  # a group of the field 1
        b"\x72\x05abc": "ends beyond",
        b"\x72\xff\xff\xff\xff\xff\xff\xff\xff\x7f": "ends beyond",
        lengthened(14, b"\xff"): "not UTF-8",
        b"\x0d\0\0\0\0": "another wire type",
        varint(1 << 3) + varint(1 << 31): "type can't have",
        varint(3 << 3) + varint(1 << 32): "type can't have",
        varint(16 << 3) + varint(99): "its enum does not have",
        varint(99 << 3) + b"\1": "a field that its schema does not have",
        lengthened(17, b"") + lengthened(17, b""): "stands there twice",
        lengthened(17, lengthened(9, b"")): "does not have",
        lengthened(18, b"\x80"): "ends in its middle",
        lengthened(31, b"\0\0\0"): "ends in its middle",
        lengthened(26, varint(2 << 3) + varint(1000000000)): "a moment",
        lengthened(26, varint(1 << 3) + varint(1 << 60)): "a moment",
        lengthened(21, lengthened(7, b"")): "does not have",
    }
    lines = [line(one + message, offset) for offset, message in enumerate(cases)]
    found = errors(binary, tmp_path, schemas, lines)
    assert [(want, error) for want, error in zip(cases.values(), found) if want not in error] == []

    paths = {b"": "not the indexes", b"\1": "not the indexes", b"\x7f": "not the indexes",
             b"\2\x0c": "no message at the indexes", b"\4\2\2": "no message at the indexes",
             b"\x02\xff": "not the indexes"}
    lines = [line(b"\0" + struct.pack(">i", identity) + path, offset)
             for offset, path in enumerate(paths)]
    found = errors(binary, tmp_path, schemas, lines)
    assert [(want, error) for want, error in zip(paths.values(), found) if want not in error] == []


def test_a_few_bytes_that_say_millions_of_values(binary, tmp_path):
    fields = " ".join(f"int32 f{number} = {number};" for number in range(1, 5001))
    schemas = Schemas()
    identity = schemas.add(f'syntax = "proto3"; message R {{ repeated M m = 1; }} '
                           f"message M {{ {fields} }}", kind="PROTOBUF")
    [error] = errors(binary, tmp_path, schemas,
                     [line(framed(identity, b"\x0a\0" * 200000))])
    assert "far more values than it has bytes" in error


def option_as_text(text):
    """A descriptor in base64 with an option that is still a text."""
    file = descriptor_pb2.FileDescriptorProto(
        name="a.proto", syntax="proto2", dependency=["google/protobuf/descriptor.proto"])
    file.message_type.add(name="R").field.add(name="x", number=1, label=1, type=11, type_name=".R")
    file.extension.add(name="o", number=50000, label=1, type=11, type_name=".R",
                       extendee=".google.protobuf.FileOptions")
    option = file.options.uninterpreted_option.add(aggregate_value=text)
    option.name.add(name_part="o", is_extension=True)
    return base64.b64encode(file.SerializeToString()).decode()


def test_schemas_that_lie(binary, tmp_path):
    head, body = 'syntax = "proto3"; ', " message M { int32 a = 1; }"
    deep = "message A { " * 70 + "int32 a = 1; " + "}" * 70
    braces = body + "// " + "{" * 200 + '\n/* {{{{ */ option java_package = "{{[[{{<<";'
    cases = {
        "": "no message at the indexes", "not a schema": "can't be parsed", "{" * 100: "nested",
        head + "import \"other.proto\";" + body: "imports a file that the registry's references",
        head + "message M { Other o = 1; }": "is not valid",
        head + "message M { int32 a = 1; int32 b = 1; }": "is not valid",
        head + "message M { M m = 1; }": "is recursive",
        head + "message M { N n = 1; } message N { repeated M m = 1; }": "is recursive",
        head + "message M { map<string, M> m = 1; }": "is recursive",
        head + deep: "nested deeper", head + "message M {}" + " " * 1100000: "more than 1048576",
        'syntax = "proto2"; message M { repeated group G = 1 { required int32 a = 1; } }': "a group",
        'syntax = "proto2"; message M { required int32 a = 1; }': "required field",
        # What the parser sees, and not what another reader of the text would.
        head + "x " + "{>" * 500000: "nested deeper", head + 'x "\0' + "{" * 500000: "nested deeper",
        head + 'x "\\\n' + "{" * 500000: "nested deeper",
        head + f"message {'A' * 500000} {{ "
        + " ".join(f"int32 a{number} = {number};" for number in range(1, 5000)) + " }":
            "names of more than 32 MiB",
        option_as_text("x{" * 300000): "can't be parsed",
        head + braces: "",
    }
    schemas = Schemas()
    lines = [line(framed(schemas.add(text, kind="PROTOBUF"), b""), offset)
             for offset, text in enumerate(cases)]
    lines.append(line(framed(schemas.add({"type": "int"}), b""), len(lines)))
    lines.append(line(framed(schemas.add("{}", kind="JSON"), b""), len(lines)))
    found = errors(binary, tmp_path, schemas, lines)
    want = [*cases.values(), "type AVRO", "type JSON"]
    assert [pair for pair in zip(want, found) if pair[0] not in pair[1]] == []
    assert found[len(cases) - 1] == ""
    assert "type PROTOBUF" in errors(binary, tmp_path, schemas, lines[:1], "avro")[0]


@pytest.mark.parametrize("nullables", ["optional", ""])
def test_a_daemon(sink, kafka, database, prefix, nullables):
    """A registry that is away at first; a column that comes in the middle; NULL that can't be told."""
    table = Table("t", prefix=prefix, columns={"id": INT, "name": TEXT, "amount": INT})
    kafka.create(table.topic, 1)
    schemas = Schemas(nullables)
    registry = Registry(schemas)
    sink.write({"name": "shop", "topics": [table.topic], "format": "debezium-protobuf",
                "target": "ods", "registry": {"url": registry.url, "timeout_ms": 1000},
                "defaults": {"create_tables": True, "evolve": "add", "on_delete": "hard"}},
               kafka=True, database=database)
    registry.stop()
    daemon = sink.daemon().await_ready()
    kafka.produce([schemas.record(table.create({**row(1), "name": None}))])
    daemon.await_that(lambda: "Connection refused" in daemon.log(), what="the registry's absence")
    registry.start()
    name = None if nullables else ""
    daemon.await_that(lambda: database.exists("t") and
                      database.execute("select id, name from t") == [(1, name)], what="the row")
    table.columns = {**table.columns, "more": TEXT}
    kafka.produce([schemas.record(table.create({**row(2), "more": "m"})),
                   schemas.record(table.delete({**row(1), "more": None}))])
    daemon.await_that(lambda: database.execute("select count(*) from t where id = 2") == [(1,)],
                      what="the second row")
    assert database.execute("select id, more from t") == [(2, "m")]
    assert ("optional.for.nullables" in daemon.log()) == (not nullables)
    daemon.stop()
    registry.stop()


def test_a_converter_that_loses_null(sink):
    """`connectors` says so, where it can be said in time."""
    cluster = Cluster()
    converter = {"value.converter": "io.confluent.connect.protobuf.ProtobufConverter"}
    cluster.add("loses", **converter)
    cluster.add("keeps", **converter, **{"value.converter.optional.for.nullables": "true"})
    cluster.add("wraps", **converter, **{"value.converter.wrapper.for.nullables": "true"})
    told = {name: sink.run("connectors", "status", "--url", cluster.url, name, expect=None).stdout
            for name in ("loses", "keeps", "wraps")}
    cluster.server.shutdown()
    assert [name for name, text in told.items() if "optional.for.nullables" in text] == ["loses"]
