"""Records in, changes out: `ods-sink decode` against what the records mean.

Two kinds of evidence. The captured fixtures (debezium-*) are checked by a converter written here,
from the schema beside each payload, and by the source tables' final rows (expect.*.jsonl). The made
cases (a folder each: input.jsonl, expected.jsonl) state what must be printed.

ODS_SINK_BINARY names the binary, else build/release/ods-sink is taken.
"""

import base64
import datetime
import decimal
import json
import os
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
EPOCH = datetime.datetime(1970, 1, 1)
PLACEHOLDER = "__debezium_unavailable_value"


def run_decode(path, *options):
    binary = os.environ.get("ODS_SINK_BINARY", HERE.parent.parent / "build/release/ods-sink")
    assert os.access(binary, os.X_OK), f"no program at {binary}: build it, or set ODS_SINK_BINARY"
    done = subprocess.run([binary, "decode", *options, str(path)], capture_output=True, check=False)
    assert done.stderr == b"", done.stderr.decode()
    lines = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    assert done.returncode == (1 if any("error" in line for line in lines) else 0)
    return lines


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


# --- made cases ---

CASES = sorted(path.parent for path in HERE.glob("*/expected.jsonl"))


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_case(folder):
    printed = run_decode(folder / "input.jsonl", "--format", "debezium")
    expected = read_lines(folder / "expected.jsonl")
    for line, wanted in zip(printed, expected):
        if "error" in wanted:  # the message has to say at least this
            assert wanted.pop("error") in line.pop("error", "(no error)")
        assert line == wanted
    assert len(printed) == len(expected)


def test_there_are_cases():
    assert len(CASES) >= 8


# --- captured fixtures: an independent reading of schema and payload ---


def seconds_text(us):
    sign, us = ("-", -us) if us < 0 else ("", us)
    seconds, fraction = divmod(us, 1000000)
    text = "%s%02d:%02d:%02d" % (sign, seconds // 3600, seconds // 60 % 60, seconds % 60)
    return text + (".%06d" % fraction).rstrip("0") if fraction else text


def moment_text(us, zone=""):
    if us in (9223372036825200000, -9223372036832400000):
        return "infinity" if us > 0 else "-infinity"
    moment = EPOCH + datetime.timedelta(microseconds=us)
    text = moment.strftime("%Y-%m-%d %H:%M:%S")
    if moment.microsecond:
        text += (".%06d" % moment.microsecond).rstrip("0")
    return text + zone


def zoned_text(text):
    if text in ("infinity", "-infinity"):
        return text
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    moment = moment.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return moment_text(round((moment - EPOCH) / datetime.timedelta(microseconds=1)), "+00")


def date_text(days):
    if days in (-2147472692, -2147472691):  # INT32_MAX, INT32_MIN since 2000, wrapped
        return "infinity" if days == -2147472692 else "-infinity"
    return (EPOCH + datetime.timedelta(days=days)).strftime("%Y-%m-%d")


def decimal_text(text, scale):
    unscaled = int.from_bytes(base64.b64decode(text), "big", signed=True)
    with decimal.localcontext() as context:
        context.prec = 2000
        return format(decimal.Decimal(unscaled).scaleb(-scale), "f")


def bits_text(text, length):
    value = int.from_bytes(base64.b64decode(text), "little")
    return format(value, "0%db" % length)


def float_text(value):
    if isinstance(value, str):
        return value
    return repr(int(value)) if value == int(value) else repr(value)


def array_text(field, values):
    def element(value):
        if value is None:
            return "NULL"
        text = column_text(field["items"], value)
        if text == "" or text.upper() == "NULL" or any(c in text for c in '{}," \\\t\n'):
            return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return text

    return "{" + ",".join(element(value) for value in values) + "}"


def geometry_text(value):
    return base64.b64decode(value["wkb"]).hex().upper()


LOGICAL = {
    "org.apache.kafka.connect.data.Decimal": lambda f, v: decimal_text(v, int(f["parameters"]["scale"])),
    "io.debezium.time.Date": lambda f, v: date_text(v),
    "io.debezium.time.MicroTime": lambda f, v: seconds_text(v),
    "io.debezium.time.MicroDuration": lambda f, v: seconds_text(v),
    "io.debezium.time.Timestamp": lambda f, v: moment_text(v * 1000),
    "io.debezium.time.MicroTimestamp": lambda f, v: moment_text(v),
    "io.debezium.time.ZonedTimestamp": lambda f, v: zoned_text(v),
    "io.debezium.time.ZonedTime": lambda f, v: v.replace("Z", "+00"),
    "io.debezium.data.Bits": lambda f, v: bits_text(v, int(f["parameters"]["length"])),
    "io.debezium.data.VariableScaleDecimal": lambda f, v: decimal_text(v["value"], v["scale"]),
    "io.debezium.data.geometry.Point": lambda f, v: "(%s,%s)" % (float_text(v["x"]), float_text(v["y"])),
    "io.debezium.data.geometry.Geometry": lambda f, v: geometry_text(v),
}


def column_text(field, value):
    if field.get("name") in LOGICAL:
        return LOGICAL[field["name"]](field, value)
    if field["type"] == "bytes":
        return "\\x" + base64.b64decode(value).hex()
    if field["type"] in ("float", "double"):
        return float_text(value)
    if field["type"] == "boolean":
        return "true" if value else "false"
    if field["type"] == "array":
        return array_text(field, value)
    return str(value)


def is_unavailable(value):
    encoded = base64.b64encode(PLACEHOLDER.encode()).decode()
    return value in (PLACEHOLDER, encoded, [PLACEHOLDER])


def image_of(fields, row, op):
    """A row image as it must be printed; None for columns is null, unavailable ones are left out."""
    if row is None:
        return None
    return {
        field["field"]: None if row[field["field"]] is None else column_text(field, row[field["field"]])
        for field in fields
        if op == "r" or not is_unavailable(row[field["field"]])
        and row[field["field"]] != ["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]
    }


def microseconds(ts):
    return (EPOCH + datetime.timedelta(microseconds=ts)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def expected_of_key(record):
    key = json.loads(record["key"])
    row = {f["field"]: column_text(f, key["payload"][f["field"]]) for f in key["schema"]["fields"]}
    return {"op": "d", "before": row, "after": None, "key": row,
            "source_ts": microseconds(record["ts"] * 1000)}


def expected_of_envelope(record, value):
    payload, fields = value["payload"], value["schema"]["fields"]
    if payload.get("op") == "m" or "ddl" in payload:
        return None
    images = next(field for field in fields if field["field"] == "after")["fields"]
    op = payload["op"]
    before, after = (image_of(images, payload[image], op) for image in ("before", "after"))
    key = None
    if record["key"] and op != "t":
        names = json.loads(record["key"])["payload"]
        key = {name: (after or before)[name] for name in names}
    return {"op": op, "before": before, "after": after, "key": key,
            "source_ts": microseconds(payload["source"]["ts_us"])}


def expected_of_flat(record, value):
    payload = value["payload"]
    if "ddl" in payload:
        return None
    fields = [f for f in value["schema"]["fields"] if not f["field"].startswith("__")]
    row, op = image_of(fields, payload, payload["__op"]), payload["__op"]
    names = json.loads(record["key"])["payload"] if record["key"] else None
    return {"op": op, "before": row if op == "d" else None, "after": None if op == "d" else row,
            "key": {name: row[name] for name in names} if names else None,
            "source_ts": microseconds(payload["__source_ts_ms"] * 1000)}


class Deletes:
    """The deletes a little before a record of its partition, behind which a tombstone says nothing."""

    def __init__(self):
        self._offsets = {}

    def note(self, record, deletes):
        place = record["topic"], record["partition"], record["key"]
        self._offsets[place] = record["offset"] if deletes else -100

    def precede(self, record):
        place = record["topic"], record["partition"], record["key"]
        return record["offset"] - self._offsets.get(place, -100) <= 16


def is_delete(value):
    payload = value.get("payload") or value
    return "d" in (payload.get("op"), payload.get("__op"))


def expected_changes(path):
    deletes = Deletes()
    for record in read_lines(path):
        if record["payload"] is None and deletes.precede(record):
            continue
        if record["payload"] is not None:
            deletes.note(record, is_delete(json.loads(record["payload"])))
        if record["payload"] is None:
            expected = expected_of_key(record) if record["key"] else None
        else:
            value = json.loads(record["payload"])
            flat = path.name.startswith("flat.")
            expected = (expected_of_flat if flat else expected_of_envelope)(record, value)
        if expected:
            names = record["topic"].split(".")
            expected.update(topic=record["topic"], partition=record["partition"],
                            offset=record["offset"], schema=names[1], table=names[2])
            yield expected


TYPED = sorted(
    path for pattern in ("debezium-mysql/full.*jsonl", "debezium-mysql/flat.*jsonl",
                         "debezium-postgres/pg.*jsonl") for path in HERE.glob(pattern))


@pytest.mark.parametrize("path", TYPED, ids=lambda path: path.name)
def test_typed_fixture(path):
    assert run_decode(path) == list(expected_changes(path))


def test_fixtures_are_there():
    assert len(TYPED) == 20


# --- records without a schema: numbers and texts as they stand ---

LEAN = sorted(list(HERE.glob("debezium-mysql/lean.*jsonl")) +
              list(HERE.glob("debezium-postgres/pglean.*jsonl")))


def plain_text(value):
    """A value as it stands in the record, whose numbers were read as their own characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return value
    return str(value)


def plain_image(row, op):
    if row is None:
        return None
    return {name: None if value is None else plain_text(value) for name, value in row.items()
            if op == "r" or not is_unavailable(value)
            and value != ["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]}


def nested_parsed(image, like):
    """JSON columns parsed again, so that white space does not matter."""
    return image and {name: json.loads(text, parse_float=str, parse_int=str)
                      if isinstance(like.get(name), (list, dict)) else text
                      for name, text in image.items()}


@pytest.mark.parametrize("path", LEAN, ids=lambda path: path.name)
def test_lean_fixture(path):
    printed = iter(run_decode(path))
    deletes = Deletes()
    for record in read_lines(path):
        value = record["payload"] and json.loads(record["payload"], parse_float=str, parse_int=str)
        if value is not None:
            deletes.note(record, is_delete(value))
        if value is None:
            if deletes.precede(record):
                continue
            key = {n: str(v) for n, v in json.loads(record["key"]).items()}
            change = next(printed)
            assert (change["op"], change["before"], change["key"]) == ("d", key, key)
            continue
        if value.get("op") == "m" or "ddl" in value or "status" in value:
            continue
        change, op = next(printed), value["op"]
        assert change["op"] == op
        assert change["source_ts"] == microseconds(int(value["source"]["ts_us"]))
        assert change["table"] == value["source"]["table"]
        for image in ("before", "after"):
            wanted = plain_image(value[image], op)
            assert nested_parsed(change[image], wanted or {}) == wanted
    assert next(printed, None) is None


def test_lean_fixtures_are_there():
    assert len(LEAN) == 14


# --- the same records as CloudEvents ---


def as_cloud_event(envelope, schema):
    """What CloudEventsConverter makes of an envelope (its schema None: schemas are off)."""
    source = envelope["source"]
    data = {image: envelope[image] for image in ("before", "after")}
    if schema:
        images = [field for field in schema["fields"] if field["field"] in data]
        name = f"io.debezium.connector.{source['connector']}.Data"
        data = {"schema": {"type": "struct", "fields": images, "optional": False, "name": name},
                "payload": data}
    extensions = {"op": envelope["op"], **source}
    event = {"id": f"name:{source['name']};ts:{source['ts_ms']}",
             "source": f"/debezium/{source['connector']}/{source['name']}",
             "specversion": "1.0",
             "type": f"io.debezium.connector.{source['connector']}.DataChangeEvent",
             "time": microseconds(int(source["ts_ms"]) * 1000),
             "datacontenttype": "application/json"}
    for name, value in extensions.items():
        is_long = isinstance(value, int) and not isinstance(value, bool)
        event["iodebezium" + name.replace("_", "")] = str(value) if is_long else value
    return {**event, "data": data}


def cloud_event_line(line):
    record = json.loads(line)
    value = record["payload"] and json.loads(record["payload"])
    envelope = value and value.get("payload", value)
    if not envelope or "before" not in envelope:
        return line
    event = as_cloud_event(envelope, value.get("schema"))
    payload = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return json.dumps({**record, "payload": payload}) + "\n"


ENVELOPES = [path for path in TYPED + LEAN if '\\"before\\":' in path.read_text("utf-8")]


@pytest.mark.parametrize("path", ENVELOPES, ids=lambda path: path.name)
def test_cloud_events_are_the_same_changes(path, tmp_path):
    with open(path, encoding="utf-8") as file:
        lines = [cloud_event_line(line) for line in file if line.strip()]
    events = tmp_path / path.name
    events.write_text("".join(lines), encoding="utf-8")
    assert any("specversion" in line for line in lines)
    assert run_decode(events) == run_decode(path)


def test_there_are_envelopes():
    assert len(ENVELOPES) >= 20


# --- the source's tables afterwards ---

ROWS = [(shape, path) for shape in ("full", "flat", "lean")
        for path in sorted(HERE.glob("debezium-mysql/expect.*.jsonl"))]

# MySQL's types, which expect.* writes in its own way; lean records have them unconverted.
DATES = {"date_of_birth", "application_date", "purchase_date", "c_date"}
MILLIS = {"created_at", "c_dt", "c_dt3"}
MICROS = {"approved_at", "c_dt6"}
ZONED = {"updated_at", "c_ts", "c_ts6"}
DECIMALS = {"monthly_income", "loan_amount", "interest_rate", "purchase_price", "c_dec", "c_dec0",
            "c_float", "c_double"}
BINARIES = {"c_binary", "c_varbinary", "c_blob"}


def as_mysql(name, text, lean):
    """A printed value in the writing of expect.*: its own, so that both can be compared."""
    if text is None:
        return None
    if lean and name in DATES:
        text = date_text(int(text))
    elif lean and name in MILLIS | MICROS:
        text = moment_text(int(text) * (1000 if name in MILLIS else 1))
    elif lean and name in ("c_time", "c_time6"):
        text = seconds_text(int(text))
    elif lean and name in BINARIES:
        text = "\\x" + base64.b64decode(text).hex()
    elif lean and name == "c_bit20":
        text = bits_text(text, 20)
    elif lean and name in ZONED:
        text = zoned_text(text)
    if name in ZONED | MILLIS | MICROS:
        text = text.replace("+00", "").replace(" ", "T")
        return text + ("" if "." in text else ".") + "0" * (6 - len(text.partition(".")[2]))
    if name in DECIMALS:
        return format(decimal.Decimal(text).normalize(), "f")
    if name in BINARIES:
        return text[2:]
    if name == "c_bit20":
        return str(int(text, 2))
    if name in ("c_bool", "c_bit1"):
        return {"true": "1", "false": "0"}[text]
    if name == "c_time6":  # Python's own way of writing -838:59:59
        hours, minutes, seconds = (int(part) for part in text.lstrip("-").split(":"))
        return str(-datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds))
    if name == "c_ubig":  # an int64 of the same bits: the record does not say unsigned
        return str(int(text) % 2**64)
    if name == "c_json":
        return json.loads(text)
    return text


@pytest.mark.parametrize("shape,path", ROWS, ids=lambda part: getattr(part, "name", part))
def test_final_rows(shape, path):
    table = path.name.split(".")[1]
    rows = {}
    for change in run_decode(HERE / "debezium-mysql" / f"{shape}.mks_finance_dw.{table}.jsonl"):
        key = json.dumps(change["key"])
        if change["op"] == "d":
            rows.pop(key, None)
        else:
            rows[key] = change["after"]
    names = {name for row in read_lines(path) for name, _ in row}
    printed = [{name: as_mysql(name, text, shape == "lean") for name, text in row.items()
                if name in names} for row in rows.values()]
    wanted = [{name: json.loads(text) if name == "c_json" and text else text for name, text in row}
              for row in read_lines(path)]
    order = lambda row: sorted((name, str(text)) for name, text in row.items())
    assert sorted(printed, key=order) == sorted(wanted, key=order)
