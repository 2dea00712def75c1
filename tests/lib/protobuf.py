"""Records in Protobuf, as Kafka Connect's Protobuf converter writes what its JSON converter writes as
text.

A JSON record with its schema goes in; the same record in Confluent's wire format comes out, and its
schemas are kept by id for a registry (lib/registry.py) or a file of one. Written from the encoding's
specification and from Confluent's ProtobufData, beside the sink's own reader; a test has Google's
library read what is written here.
"""

import base64
import datetime
import re
import struct

from lib import avro

SCALARS = {"boolean": "bool", "int8": "int32", "int16": "int32", "int32": "int32",
           "int64": "int64", "float": "float", "float32": "float", "double": "double",
           "float64": "double", "string": "string", "bytes": "bytes"}
WRAPPERS = {"double": "DoubleValue", "float": "FloatValue", "int64": "Int64Value",
            "int32": "Int32Value", "bool": "BoolValue", "string": "StringValue",
            "bytes": "BytesValue"}
LOGICAL = {"org.apache.kafka.connect.data.Decimal": "confluent.type.Decimal",
           "org.apache.kafka.connect.data.Date": "google.type.Date",
           "org.apache.kafka.connect.data.Time": "google.type.TimeOfDay",
           "org.apache.kafka.connect.data.Timestamp": "google.protobuf.Timestamp"}
IMPORTS = {"confluent.type.Decimal": "confluent/type/decimal.proto",
           "google.type.Date": "google/type/date.proto",
           "google.type.TimeOfDay": "google/type/timeofday.proto",
           "google.protobuf.Timestamp": "google/protobuf/timestamp.proto"}
# A key that is one value has the schema of its wrapper, among those of google/protobuf/wrappers.proto.
ROOTS = ["double", "float", "int64", "uint64", "int32", "uint32", "bool", "string", "bytes"]
WRAPPERS_TEXT = 'syntax = "proto3";\npackage google.protobuf;\n' + "".join(
    f"message {'UInt' + kind[4:] if kind[0] == 'u' else kind.capitalize()}Value "
    f"{{ {kind} value = 1; }}\n" for kind in ROOTS)


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def lengthened(number, data):
    """A field of bytes, a text or a message."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def path_bytes(path):
    """The indexes of a message; the first of a file is one zero."""
    return b"\0" if list(path) == [0] else b"".join(map(avro.number, [len(path), *path]))


def named(name):
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("no name in Protobuf")
    return name


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


class Schemas(avro.Schemas):
    """`nullables`: how the converter tells NULL: "optional", "wrapper", or "" (it does not).
    `names`: parameters of a field have Connect's names, which Confluent's converter leaves out."""

    def __init__(self, nullables="optional", names=True, first=7):
        super().__init__(first=first)
        self.nullables, self.names = nullables, names

    def framed(self, schema, payload, name="Value"):
        if schema["type"] in SCALARS:
            kind = SCALARS[schema["type"]]
            identity = self.add(WRAPPERS_TEXT, kind="PROTOBUF")
            body = self.field(1, schema, payload, False)
            return b"\0" + struct.pack(">i", identity) + path_bytes([ROOTS.index(kind)]) + body
        identity = self.add(self.text(schema, name), kind="PROTOBUF")
        return b"\0" + struct.pack(">i", identity) + b"\0" + self.message_of(schema, payload)

    # Schemas.

    def text(self, schema, name="Value"):
        space, _, last = (schema.get("name") or name).rpartition(".")
        imports = set()
        body = self.message_text(named(last), schema, imports, "")
        return "\n".join(['syntax = "proto3";', *([f"package {self.space(space)};"] if space else ()),
                          *(f'import "{path}";' for path in sorted(imports)), body])

    @staticmethod
    def space(text):
        """As the converter does with scrub.invalid.names=true."""
        parts = (re.sub(r"[^A-Za-z0-9_]", "_", part) for part in text.split("."))
        return ".".join(part if re.match("[A-Za-z]", part) else f"x{part}" for part in parts)

    def message_text(self, name, schema, imports, indent):
        inner, inside, lines = {}, indent + "  ", []
        for number, field in enumerate(schema["fields"], 1):
            lines.append(inside + self.field_text(number, field, inner, imports))
        nested = [self.message_text(key, value, imports, inside) for key, value in inner.items()]
        return "\n".join([f"{indent}message {name} {{", *lines, *nested, f"{indent}}}"])

    def type_of(self, schema, name, inner, imports):
        kind = LOGICAL.get(schema.get("name"))
        if kind:
            imports.add(IMPORTS[kind])
            return kind
        if schema["type"] in SCALARS:
            return SCALARS[schema["type"]]
        if schema["type"] != "struct":
            raise ValueError("nested arrays or maps have no form")
        same = next((key for key, known in inner.items() if known["fields"] == schema["fields"]),
                    f"ConnectDefault_{name}")
        own = named((schema.get("name") or same).rpartition(".")[2])
        own += "Message" if own == name else ""
        if inner.setdefault(own, schema)["fields"] != schema["fields"]:
            raise ValueError("two messages of one name")
        return own

    def params(self, schema):
        found = {}
        if schema["type"] in ("int8", "int16"):
            found["connect.type"] = schema["type"]
        given = schema.get("parameters") or {}
        if schema.get("name") == "org.apache.kafka.connect.data.Decimal":
            found["scale"] = given["scale"]
            if "connect.decimal.precision" in given:
                found["precision"] = given["connect.decimal.precision"]
        if self.names:
            found.update({key: value for key, value in given.items() if key not in (
                "scale", "connect.decimal.precision")})
            if schema.get("name") and schema["type"] in SCALARS and \
                    schema["name"] not in LOGICAL:
                found["connect.name"] = schema["name"]
        return found

    def field_text(self, number, field, inner, imports):
        name, schema, label = named(field["field"]), field, ""
        if field["type"] == "map":
            key = self.type_of(field["keys"], "key", inner, imports)
            value = self.type_of(field["values"], "value", inner, imports)
            return f"map<{key}, {value}> {name} = {number};"
        if field["type"] == "array" and field.get("name"):
            raise ValueError("an array has no name")
        if field["type"] == "array":
            schema, label = field["items"], "repeated "
        kind = self.type_of(schema, name, inner, imports)
        if field.get("optional") and not label:
            label = "optional " if self.nullables == "optional" else ""
            if self.nullables == "wrapper" and kind in WRAPPERS:
                kind = f"google.protobuf.{WRAPPERS[kind]}"
                imports.add("google/protobuf/wrappers.proto")
        options, params = "", self.params(schema)
        if params:
            imports.add("confluent/meta.proto")
            pairs = ", ".join(f"{{key: {quoted(key)}, value: {quoted(str(value))}}}"
                              for key, value in sorted(params.items()))
            options = f" [(confluent.field_meta) = {{params: [{pairs}]}}]"
        return f"{label}{kind} {name} = {number}{options};"

    # Values.

    def message_of(self, schema, values):
        if set(values) - {field["field"] for field in schema["fields"]}:
            raise KeyError("a field that the schema does not have")
        return b"".join(self.field(number, field, values[field["field"]],
                                   bool(field.get("optional")))
                        for number, field in enumerate(schema["fields"], 1))

    def field(self, number, schema, value, optional):
        if value is None:
            if not optional:
                raise ValueError("null where the schema has none")
            return b""
        if schema["type"] == "array":
            if any(item is None for item in value):
                raise ValueError("null in an array")
            return b"".join(self.item(number, schema["items"], item) for item in value)
        if schema["type"] == "map":
            if any(item is None for item in value.values()):
                raise ValueError("null in a map")
            return b"".join(lengthened(number, self.item(1, schema["keys"], key) +
                                       self.item(2, schema["values"], item))
                            for key, item in value.items())
        if optional and self.nullables == "wrapper" and schema["type"] in SCALARS and \
                schema.get("name") not in LOGICAL:
            return lengthened(number, self.field(1, schema, value, False))
        data = self.item(number, schema, value)
        explicit = optional and self.nullables == "optional"
        plain = schema["type"] in SCALARS and schema.get("name") not in LOGICAL
        return b"" if plain and not explicit and not self.zeroless(schema, value) else data

    @staticmethod
    def zeroless(schema, value):
        """Is it another value than its type's default?"""
        if schema["type"] in ("float", "float32", "double", "float64"):
            return struct.pack("<d", float(value)) != b"\0" * 8
        return value not in (0, "", False)

    def item(self, number, schema, value):
        kind = SCALARS.get(schema["type"])
        if schema.get("name") in LOGICAL:
            return lengthened(number, LOGICAL_VALUES[LOGICAL[schema["name"]]](schema, value))
        if schema["type"] == "struct":
            return lengthened(number, self.message_of(schema, value))
        if kind is None:
            raise ValueError("nested arrays or maps have no form")
        if kind in ("int32", "int64"):
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError("no integer")
            return varint(number << 3) + varint(value)
        if kind == "bool":
            return varint(number << 3) + (b"\1" if value else b"\0")
        if kind == "float":
            return varint(number << 3 | 5) + struct.pack("<f", float(value))
        if kind == "double":
            return varint(number << 3 | 1) + struct.pack("<d", float(value))
        if kind == "string":
            return lengthened(number, value.encode())
        return lengthened(number, base64.b64decode(value, validate=True))


def numbers(*values):
    return b"".join(varint(number << 3) + varint(value)
                    for number, value in enumerate(values, 1) if value)


def decimal(schema, value):
    scale = int(schema["parameters"]["scale"])
    precision = int(schema["parameters"].get("connect.decimal.precision", 0))
    return lengthened(1, base64.b64decode(value, validate=True)) + \
        (varint(2 << 3) + varint(precision) if precision else b"") + \
        (varint(3 << 3) + varint(scale) if scale else b"")


def date(_, value):
    if not -719162 <= value <= 2932896:
        raise ValueError("no date of google.type.Date")
    day = datetime.date.fromordinal(value + 719163)
    return numbers(day.year, day.month, day.day)


def clock(_, value):
    if not 0 <= value < 86400000:
        raise ValueError("no time of day")
    seconds = value // 1000
    return numbers(seconds // 3600, seconds // 60 % 60, seconds % 60, value % 1000 * 1000000)


def moment(_, value):
    if not -62135596800 <= value // 1000 <= 253402300799:
        raise ValueError("no google.protobuf.Timestamp")
    return numbers(value // 1000, value % 1000 * 1000000)


LOGICAL_VALUES = {"confluent.type.Decimal": decimal, "google.type.Date": date,
                  "google.type.TimeOfDay": clock, "google.protobuf.Timestamp": moment}
