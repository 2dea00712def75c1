"""Records in Avro, as Kafka Connect's Avro converters write what its JSON converter writes as text.

A JSON record with its schema goes in; the same record in Confluent's wire format comes out, and its
schemas are kept by id for a registry (lib/registry.py) or a file of one. Written from the Avro
specification and from schemas that Apicurio's converter registered, beside the sink's own reader.
"""

import base64
import json
import re
import struct

KINDS = {"boolean": "boolean", "int8": "int", "int16": "int", "int32": "int", "int64": "long",
         "float": "float", "float32": "float", "double": "double", "float64": "double",
         "string": "string", "bytes": "bytes"}


def number(value):
    """A long, as zigzag in groups of seven bits."""
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value):
    value = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return number(len(value)) + value


def filled(schema, payload):
    """A schema whose `source` lists no fields, as tests abbreviate it, with those that are there."""
    fields = [{**field, "fields": [
        {"field": name, "optional": True, "type": "int64" if isinstance(value, int) else "string"}
        for name, value in payload["source"].items()]}
              if field.get("field") == "source" and field.get("fields") == [] else field
              for field in schema.get("fields", ())]
    return {**schema, "fields": fields} if fields else schema


class Schemas:
    """Schemas by id, as a registry gives them out; `null_first`: where null stands in unions."""

    def __init__(self, null_first=True, first=7):
        self.null_first = null_first
        self.by_id = {}
        self._ids = {}
        self._next = first

    def add(self, schema, references=(), kind=None, subject=None, version=None):
        """The id of a schema, a new one if it is new."""
        document = schema if isinstance(schema, str) else json.dumps(schema)
        if document not in self._ids:
            self._ids[document] = self._next
            entry = {"schema": document, "references": list(references)}
            if kind:
                entry["schemaType"] = kind
            if subject:
                entry.update(subject=subject, version=version or 1)
            self.by_id[self._next] = entry
            self._next += 3  # ids have gaps
        return self._ids[document]

    def save(self, path):
        path.write_text(json.dumps({str(key): value for key, value in self.by_id.items()}))
        return f"file://{path}"

    # Records.

    def record(self, record):
        """A record of lib/records.py or a recorded one, in Avro; None: it has no schema."""
        key = self.message(record.get("key"), "Key")
        value = self.message(record.get("payload", record.get("value")), "Value")
        if key is None or value is None:
            return None
        found = {name: record[name] for name in ("topic", "partition", "offset", "ts", "headers")
                 if name in record}
        found["key_b64"] = base64.b64encode(key).decode() if key else None
        found["value_b64"] = base64.b64encode(value).decode() if value else None
        return found

    def message(self, document, name):
        """Bytes of a key or value; b"": null; None: it has no schema, or is no JSON."""
        if document is None:
            return b""
        try:
            # RAW numbers keep the digits that they have
            parsed = json.loads(document)
        except ValueError:
            return None
        if not isinstance(parsed, dict) or set(parsed) != {"schema", "payload"} or \
                not isinstance(parsed["schema"], dict):
            return None
        if parsed["payload"] is None:
            return b""
        try:
            return self.framed(filled(parsed["schema"], parsed["payload"]), parsed["payload"], name)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, struct.error):
            return None

    def framed(self, schema, payload, name="Value"):
        avro = self.schema_of(schema, {}, name)
        return b"\0" + struct.pack(">i", self.add(avro)) + self.value(schema, payload)

    # Schemas.

    def schema_of(self, schema, named, name):
        """Connect's schema as an Avro type; a struct that was written before is its name."""
        kind = schema["type"]
        extra = {f"connect.{key}": schema[key] for key in ("name", "version", "parameters")
                 if key in schema}
        if kind in KINDS:
            found = {"type": KINDS[kind], **extra}
            if kind in ("int8", "int16"):
                found["connect.type"] = kind
            if schema.get("name") == "org.apache.kafka.connect.data.Decimal":
                found.update(logicalType="decimal", scale=int(schema["parameters"]["scale"]),
                             precision=64)
            if "default" in schema and kind == "string":
                found["connect.default"] = schema["default"]
            found = found if len(found) > 1 else found["type"]
        elif kind == "array":
            found = {"type": "array", "items": self.schema_of(schema["items"], named, name + "_i"),
                     **extra}
        elif kind == "map":
            found = {"type": "map", "values": self.schema_of(schema["values"], named, name + "_v"),
                     **extra}
        else:
            found = self.record_of(schema, named, name, extra)
        if not schema.get("optional"):
            return found
        return ["null", found] if self.null_first else [found, "null"]

    def record_of(self, schema, named, name, extra):
        same = json.dumps(schema["fields"], sort_keys=True)
        unnamed = next((known for known, fields in named.items() if fields == same), None)
        full = re.sub(r"[^A-Za-z0-9_.]", "_", schema.get("name") or unnamed or f"made.{name}")
        if named.get(full) == same:
            return full
        while full in named:
            full += "_"
        named[full] = same
        space, _, last = full.rpartition(".")
        return {"type": "record", "name": last, "namespace": space, "fields": [
            {"name": field["field"], "type": self.schema_of(field, named, f"{name}_{index}")}
            for index, field in enumerate(schema["fields"])], **extra}

    # Values.

    def value(self, schema, value):
        if schema.get("optional"):
            null = 0 if self.null_first else 1
            if value is None:
                return number(null)
            return number(1 - null) + self.plain(schema, value)
        return self.plain(schema, value)

    def plain(self, schema, value):
        kind = schema["type"]
        if value is None:
            raise ValueError("null where the schema has none")
        if kind == "boolean":
            return b"\1" if value else b"\0"
        if kind in ("int8", "int16", "int32", "int64"):
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError("no integer")
            return number(value)
        if kind in ("float", "float32"):
            return struct.pack("<f", float(value))
        if kind in ("double", "float64"):
            return struct.pack("<d", float(value))
        if kind == "string":
            return text(value)
        if kind == "bytes":
            return text(base64.b64decode(value, validate=True))
        if kind == "array":
            return b"".join([number(len(value))] * bool(value) +
                            [self.value(schema["items"], item) for item in value]) + b"\0"
        if kind == "map":
            return b"".join([number(len(value))] * bool(value) +
                            [text(key) + self.value(schema["values"], item)
                             for key, item in value.items()]) + b"\0"
        if set(value) - {field["field"] for field in schema["fields"]}:
            raise KeyError("a field that the schema does not have")
        return b"".join(self.value(field, value[field["field"]]) for field in schema["fields"])
