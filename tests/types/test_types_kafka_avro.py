"""Every case of types_cases.py through the Kafka target in Avro: from Debezium's JSON into a topic, whose
records a second pipeline reads into the case's column, and fastavro field by field.
"""

import base64
import json
import math
import struct
from decimal import Decimal

import pytest

from by_registry import check, replay
from conftest import build
from lib.avro import Schemas
from lib.avro_reader import Reader
from lib.committed import read_committed
from lib.kafka import Kafka
from lib.registry import Registry
from lib.sink import Setup, read_lines
from test_types import records, table_name
from types_cases import CASES, REJECT

pytestmark = pytest.mark.timeout(1500)  # the first test waits for all records

SHAPES = {"envelope": "envelope", "flattened": "flattened"}
TOPIC = "types-kafka-avro"
# What Connect's types say of a column, as its records have it in JSON; without one the column is a string of
# its JSON, which the case's column does not take.
NO_VALUE = ("point from its binary",)  # Point has x and y in Debezium's schema
AS_TEXT = ("SparseDoubleVector", "Structured", "geometry.Circle", "geometry.Line", "Typed")


class Written:
    """What the target has made of the cases: by table, the records in their order."""

    def __init__(self, stack, folder):
        stack.up("postgres", "kafka")
        self.kafka = Kafka(stack)
        self.registry = Registry(Schemas())
        self.reader = Reader(lambda number: self.registry.schemas.by_id[number]["schema"])
        self.letters, self.records = {}, {}
        for shape, form in SHAPES.items():
            self.write(Setup(folder / f"write-{shape}", build("asan"), stack), shape, form)

    def write(self, sink, shape, form):
        sink.folder.mkdir()
        topic = self.kafka.create(f"{TOPIC}-{shape}", 1)
        sink.write({"name": "types", "topics": [r"^types\.public\.case_.*"], "format": "debezium", "target": "out"},
                   kafka=True, targets=[{"name": "out", "type": "kafka", "topic": topic, "format": form,
                                         "encoding": "avro", "subject": "topic_record",
                                         "registry": {"url": self.registry.url},
                                         "headers": {"from": "{{topic}}"}}])
        path = sink.folder / "letters.jsonl"
        path.write_text("")
        sink.replay([renamed(record, index, shape) for index, case in enumerate(CASES)
                     for record in records(case, index, "envelope")], dead_letter=path, timeout_s=300)
        for letter in read_lines(path):
            self.letters.setdefault(letter["topic"], []).append(letter)
        for record in read_committed(self.kafka.bootstrap, topic, raw=True):
            self.records.setdefault(record.headers["from"], []).append(record)

    def close(self):
        self.reader.close()
        self.registry.stop()


def renamed(record, index, shape):
    """The case's records are envelopes, of a table whose name says what is written."""
    was, now = table_name(index, "envelope"), table_name(index, shape)
    return json.loads(json.dumps(record).replace(f"{was}\\", f"{now}\\").replace(f".{was}", f".{now}"))


@pytest.fixture(scope="module")
def written(stack, tmp_path_factory):
    written = Written(stack, tmp_path_factory.mktemp("types-kafka-avro"))
    yield written
    written.close()


def recorded(record, offset):
    return {"topic": record.headers["from"], "partition": 0, "offset": offset, "headers": [],
            "key_b64": base64.b64encode(record.key).decode(),
            "value_b64": base64.b64encode(record.value).decode()}


@pytest.fixture(scope="module")
def outcome(stack, tmp_path_factory, written):
    made = {}
    for index in range(len(CASES)):
        for shape in SHAPES:
            found = written.records.get(f"types.public.{table_name(index, shape)}", [])
            made[index, shape] = [recorded(record, offset) for offset, record in enumerate(found)]
    schemas = dict.fromkeys(SHAPES, written.registry.schemas)
    database, dead, missing = replay(stack, tmp_path_factory.mktemp("types-read"), "avro", schemas, made)
    for topic, letters in written.letters.items():
        dead.setdefault(topic, []).extend(letters)
    yield database, dead, missing
    database.close()


def is_text(case):
    return case.name in NO_VALUE or any(word in json.dumps(case.connect) for word in AS_TEXT)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("index", range(len(CASES)), ids=lambda index: CASES[index].name)
def test_there_and_back(outcome, index, shape):
    if is_text(CASES[index]):
        pytest.skip("a string of its JSON")
    check(outcome, index, shape)


def same(connect, told, value):
    """Is what fastavro has read what the record in JSON said?"""
    kind, name = connect["type"], connect.get("name", "")
    if told is None:
        return value is None
    if kind == "bytes" and not isinstance(told, str):
        return Decimal(value["decimal"]) == Decimal(str(told))
    if kind == "bytes":
        bytes_ = base64.b64decode(told) if isinstance(told, str) else None
        if isinstance(value, dict) and "decimal" in value:
            number = int.from_bytes(bytes_, "big", signed=True)
            scale = int(connect["parameters"]["scale"])
            return value["decimal"].replace(".", "").lstrip("-0") == str(abs(number)).lstrip("0") and \
                ("." not in value["decimal"] or len(value["decimal"].split(".")[1]) == scale)
        return value == {"bytes": base64.b64encode(bytes_).decode()}
    if kind in ("float", "float32", "double", "float64"):
        number = float(value["float"] if isinstance(value, dict) else value)
        wanted = float(told)
        if kind.startswith("float") and kind != "float64":
            wanted = struct.unpack("<f", struct.pack("<f", wanted))[0]
        return number == wanted or (math.isnan(number) and math.isnan(wanted))
    if kind == "array":
        # a vector of floats is one of doubles here
        items = {**connect["items"], "type": "double"} if name.endswith("FloatVector") else connect["items"]
        return len(told) == len(value) and all(same(items, *pair) for pair in zip(told, value))
    if kind == "map":
        return set(told) == set(value) and all(same(connect["values"], told[key], value[key]) for key in told)
    if kind == "struct":
        fields = {field["field"]: field for field in connect["fields"]}
        return all(same(fields[key], told[key], part) for key, part in value.items() if key in told)
    return value == told


@pytest.mark.parametrize("index", range(len(CASES)), ids=lambda index: CASES[index].name)
def test_as_fastavro_reads_it(written, index):
    case = CASES[index]
    topic = f"types.public.{table_name(index, 'envelope')}"
    if is_text(case):
        pytest.skip("a string of its JSON")
    if written.letters.get(topic):
        assert case.expect is REJECT or "RAW" in str(case.value), written.letters[topic]
        return
    rows = [written.reader.read(record.value)["after"] for record in written.records[topic]]
    told = json.loads(list(records(case, index, "envelope"))[1]["payload"], parse_float=Decimal)[
        "payload"]["after"]["v"]
    assert [row["id"] for row in rows] == [1, 2, 3, 1]
    assert rows[0]["v"] is None and rows[1]["v"] == rows[3]["v"]
    assert same(case.connect, told, rows[1]["v"]), (told, rows[1]["v"])
