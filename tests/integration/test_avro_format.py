"""Avro and its registry: what a daemon does while the registry is away, slow or wrong, what becomes
of ids and schemas that are of no use, and records that lie."""

import base64
import json
import struct

import pytest

from lib.avro import Schemas, number, text
from lib.records import BIGINT, INT, TEXT, Table, row
from lib.registry import Registry, basic, certificate
from lib.sink import Exit, free_port, read_lines

PARTITIONS = 2


@pytest.fixture
def schemas():
    return Schemas()


@pytest.fixture
def registry(schemas):
    registry = Registry(schemas)
    yield registry
    registry.stop()


def pipeline(*tables, url, **settings):
    return {"name": "shop", "topics": [table.topic for table in tables],
            "format": "debezium-avro", "target": "ods", "registry": {"url": url, "timeout_ms": 1000},
            "defaults": {"create_tables": True, "on_delete": "hard"}, **settings}


def avro(schemas, *records):
    return [schemas.record(record) for record in records]


def framed(identity, data):
    return base64.b64encode(b"\0" + struct.pack(">i", identity) + data).decode()


def errors(path):
    """topic and offset → why, of a file of dead letters."""
    if not path.exists():
        return {}
    found = {}
    for letter in read_lines(path):
        headers = dict(zip(letter["headers"][::2], letter["headers"][1::2]))
        found[letter["topic"], letter["offset"]] = headers["ods.error"]
    return found


# --- the registry's faults, of a daemon ---


class World:
    """Tables of one topic each, and a daemon that reads them."""

    def __init__(self, sink, kafka, database, registry, schemas, prefix, count):
        self.kafka, self.database, self.registry, self.schemas = kafka, database, registry, schemas
        self.tables = [Table(f"t{number}", prefix=prefix, columns={
            "id": INT, "name": TEXT, "amount": INT, f"c{number}": BIGINT}) for number in range(count)]
        for table in self.tables:
            kafka.create(table.topic, PARTITIONS)
        self.letters = kafka.create(f"{prefix}.letters", 1)
        sink.write(pipeline(*self.tables, url=registry.url), kafka=True, database=database, lanes=1,
                   dead_letter={"topic": self.letters})
        self.daemon = sink.daemon().await_ready()
        self.sent = [0] * count

    def send(self, index, count=1):
        """New rows of a table, in both partitions."""
        table, first = self.tables[index], self.sent[index]
        self.sent[index] += count
        self.kafka.produce(avro(self.schemas, *(
            table.create({**row(n), f"c{index}": n}, partition=n % PARTITIONS)
            for n in range(first, first + count))))

    def rows(self, index):
        name = self.tables[index].name
        return self.database.count(name) if self.database.exists(name) else 0

    def arrives(self, index):
        self.daemon.await_that(lambda: self.rows(index) == self.sent[index],
                               what=f"rows of table {index}")

    def waits(self, index, why):
        """Nothing of it comes, which is said; and the others go on."""
        before = self.rows(index)
        self.daemon.await_that(lambda: why in self.daemon.log(), what=f"the log to say: {why}")
        self.send(0, 2)
        self.arrives(0)
        assert self.rows(index) == before
        self.daemon.await_that(lambda: why in self.daemon.get("/status")[1],
                               what=f"the status to say: {why}")


def test_faults_of_the_registry(sink, kafka, database, registry, schemas, prefix):
    world = World(sink, kafka, database, registry, schemas, prefix, 6)
    world.send(0, 4)
    world.arrives(0)

    registry.stop()
    world.send(1, 4)
    world.waits(1, "Connection refused")
    registry.start()
    world.arrives(1)

    registry.status = 500
    world.send(2, 4)
    world.waits(2, "HTTP 500")
    registry.status = 0
    world.arrives(2)

    registry.delay_s = 3
    world.send(3, 4)
    world.waits(3, "no answer in time")
    registry.delay_s = 0
    world.arrives(3)

    registry.authorization = basic("u", "p")
    world.send(4, 4)
    world.waits(4, "HTTP 401")
    registry.authorization = None
    world.arrives(4)

    # Wiped: what is known goes on, what is not waits for it to be restored.
    world.send(5, 1)
    world.arrives(5)
    kept = dict(schemas.by_id)
    world.tables[5].columns = {**world.tables[5].columns, "more": TEXT}
    made = schemas.record(world.tables[5].create({**row(9), "c5": 9, "more": "m"}))
    new = {key: value for key, value in schemas.by_id.items() if key not in kept}
    assert new
    schemas.by_id.clear()
    kafka.produce([made])
    world.sent[5] += 1
    world.waits(5, "no schema at all")
    schemas.by_id.update({**kept, **new})
    world.arrives(5)

    assert kafka.count(world.letters) == 0
    assert world.daemon.log().count("Connection refused; records") == 1
    world.daemon.stop()


def test_unknown_and_foreign_schemas_become_letters(sink, kafka, database, registry, schemas, prefix):
    world = World(sink, kafka, database, registry, schemas, prefix, 1)
    world.send(0, 2)
    table = world.tables[0]
    good = avro(schemas, table.create({**row(50), "c0": 1}))[0]
    foreign = {kind: schemas.add(json.dumps({"kind": kind}), kind=kind)
               for kind in ("JSON", "PROTOBUF")}
    recursive = schemas.add({"type": "record", "name": "R", "fields": [
        {"name": "next", "type": ["null", "R"]}]})
    huge = schemas.add({"type": "record", "name": "H", "doc": "x" * 2_000_000, "fields": []})
    no_avro = schemas.add("syntax = proto3;")
    ids = [99_999, foreign["JSON"], foreign["PROTOBUF"], recursive, huge, no_avro, 99_998]
    kafka.produce([{**good, "value_b64": framed(number, b"\0\0")} for number in ids] +
                  avro(schemas, table.create({**row(51), "c0": 1})))
    world.daemon.await_that(lambda: kafka.count(world.letters) == len(ids), what="dead letters")
    world.daemon.await_that(lambda: world.rows(0) == 3, what="the good row behind them")
    said = [dict(message.headers())["ods.error"].decode() for message in kafka.read(world.letters)]
    for why, number, expected in zip(said, ids, (
            "does not know it", "type JSON", "type PROTOBUF", "is recursive", "bytes", "not JSON",
            "does not know it")):
        assert f"schema id {number}: " in why and expected in why, said
    asked = [path for path in registry.asked if path.endswith("99998")]
    assert len(asked) <= 2, "an id that is not there is not asked for by each record"
    world.daemon.stop()


def test_https_with_a_wrong_certificate_waits(sink, kafka, database, schemas, prefix, tmp_path):
    good, other = certificate(tmp_path), certificate(tmp_path, file="other.pem")
    registry = Registry(schemas, certificate=good)
    try:
        table = Table(prefix=prefix)
        kafka.create(table.topic, 1)
        registry.authorization = "Bearer t0ken"
        settings = {"url": f"http://127.0.0.1:{free_port()},{registry.url}", "token": "t0ken",
                    "ca": f"{other}.crt"}
        sink.write(pipeline(table, url="") | {"registry": settings}, kafka=True, database=database)
        kafka.produce(avro(schemas, table.create(row(1))))
        daemon = sink.daemon().await_ready()
        daemon.await_that(lambda: "certificate" in daemon.log(), what="the certificate refused")
        assert "t0ken" not in daemon.log()
        daemon.stop()
        failed = sink.check("--connect", expect=Exit.SOURCE)
        assert "t0ken" not in failed.stdout + failed.stderr
        # Once for all pipelines, in ods-sink.conf.
        sink.write({key: value for key, value in pipeline(table, url="").items()
                    if key != "registry"}, kafka=True, database=database,
                   registry={**settings, "url": registry.url, "ca": f"{good}.crt"})
        assert "answers" in sink.check("--connect").stdout
        daemon = sink.daemon().await_ready()
        daemon.await_that(lambda: database.exists("items") and database.count("items") == 1)
        daemon.stop()
    finally:
        registry.stop()


# --- what records and schemas may be, by replay ---


def write(sink, database, schemas, *tables, **settings):
    url = schemas.save(sink.folder / "schemas.json") if sink.folder.exists() else ""
    sink.write(pipeline(*tables, url=url, **settings), database=database)


def test_columns_that_change_in_the_middle(sink, database, schemas):
    table = Table()
    records = avro(schemas, table.create(row(1)), table.update(row(1), row(1, 7)))
    old = table.columns
    table.columns = {**old, "note": TEXT}
    records += avro(schemas, table.create({**row(2), "note": "n"}))
    table.columns = old
    records += avro(schemas, table.create(row(3)), table.delete(row(1, 7)), table.tombstone(row(1)))
    write(sink, database, schemas, table, defaults={"create_tables": True, "on_delete": "hard",
                                                    "evolve": "add"})
    sink.replay(records)
    assert database.execute("select id, note from items order by id") == [(2, "n"), (3, None)]


def test_records_that_lie(sink, database, schemas, tmp_path):
    """Each is a letter, and the rows around them are written."""
    table = Table(columns={"id": INT, "name": TEXT, "amount": INT, "tags":
                           {"type": "array", "items": {"type": "string"}}})
    whole = {**row(1), "tags": ["a", "b"]}
    good = avro(schemas, table.create(whole))[0]
    data = base64.b64decode(good["value_b64"])
    lies = {"wrong magic": b"\1" + data[1:], "no id": data[:3], "id 0": b"\0" * 5 + data[5:],
            "empty": b"", "json": b'{"a":1}', "more behind it": data + b"\0"}
    lies.update({f"cut at {length}": data[:length] for length in range(5, len(data))})
    lies["a branch that is not there"] = data[:5] + number(2) + data[6:]
    lies["a branch below zero"] = data[:5] + number(-1) + data[6:]
    start = data.index(text("n1"))
    for name, length in (("below zero", -3), ("too long", 1 << 40), ("beyond 64 bits", None)):
        lying = b"\xff" * 10 + b"\1" if length is None else number(length)
        lies[f"a length {name}"] = data[:start] + lying + data[start + 1:]
    tags = data.index(number(2) + text("a") + text("b"))
    behind = data[tags + len(number(2) + text("a") + text("b")) + 1:]
    for name, block in {"more items than bytes": number(1 << 50), "INT64_MIN items": number(-1 << 63),
                        "a block longer than the record": number(-2) + number(1 << 40),
                        "a block below zero": number(-2) + number(-9),
                        "a block that is shorter": number(-2) + number(3) + text("a") + text("b"),
                        }.items():
        lies[f"an array with {name}"] = data[:tags] + block + b"\0" + behind
    lies["text that is not UTF-8"] = data.replace(text("n1"), text(b"\xc3("))
    records = [{**good, "offset": 0}]
    for offset, lie in enumerate(lies.values(), 1):
        records.append({**good, "offset": offset, "value_b64": base64.b64encode(lie).decode()})
    last = avro(schemas, table.create({**whole, "id": 2}))[0]
    records.append({**last, "offset": len(records)})
    write(sink, database, schemas, table)
    letters = tmp_path / "letters.jsonl"
    sink.replay(records, dead_letter=letters)
    assert database.execute("select id, tags from items order by id") == [
        (1, ["a", "b"]), (2, ["a", "b"])]
    said = errors(letters)
    missing = [name for offset, name in enumerate(lies, 1) if (table.topic, offset) not in said]
    assert not missing and len(said) == len(lies)
    assert "0x7b" in said[table.topic, 5] and "format: debezium" in said[table.topic, 5]
    # The letters hold the bytes as they were, and decoding them says the same again.
    done = sink.run("decode", "--format", "debezium-avro", "--registry",
                    f"file://{sink.folder / 'schemas.json'}", letters, expect=Exit.NEGATIVE)
    again = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(line["topic"], line["offset"]): line["error"] for line in again} == said


def test_blocks_with_their_size_are_read(sink, database, schemas):
    table = Table(columns={"id": INT, "tags": {"type": "array", "items": {"type": "string"}}})
    good = avro(schemas, table.create({"id": 1, "tags": ["a", "b"]}))[0]
    data = base64.b64decode(good["value_b64"])
    items = text("a") + text("b")
    sized = number(-1) + number(2) + text("a") + number(-1) + number(2) + text("b")
    made = data.replace(number(2) + items, sized)
    assert made != data
    write(sink, database, schemas, table)
    sink.replay([{**good, "value_b64": base64.b64encode(made).decode()}])
    assert database.value("select tags from items") == ["a", "b"]


NAMED = {"type": "record", "name": "Money", "namespace": "shop", "fields": [
    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9,
                                "scale": 2}}]}
PLAIN = {"type": "record", "name": "Customer", "namespace": "shop", "fields": [
    {"name": "id", "type": "long"},
    {"name": "name", "type": ["string", "null"]},
    {"name": "mood", "type": {"type": "enum", "name": "Mood", "symbols": ["SAD", "OK"]}},
    {"name": "uid", "type": {"type": "fixed", "name": "Uid", "size": 16, "logicalType": "uuid"}},
    {"name": "born", "type": {"type": "int", "logicalType": "date"}},
    {"name": "seen", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9,
                               "scale": 2}},
    {"name": "many", "type": ["null", "int", "long"]},
    {"name": "any", "type": ["null", "string", "long"]},
    {"name": "nothing", "type": "null"},
    {"name": "limit", "type": "shop.Money"},
    {"name": "before", "type": ["null", "string"]},
    {"name": "scores", "type": {"type": "map", "values": "int"}},
]}


def plain_row(identity, name):
    return b"".join([
        number(identity), number(1) if name is None else number(0) + text(name), number(1),
        bytes(range(16)), number(16576), number(-1), text(b"\x04\xd2"), number(2) + number(1 << 40),
        number(2) + number(5), text(b"\x64"), number(0), number(1) + text("k") + number(7) + b"\0"])


def test_plain_rows(sink, database, schemas, tmp_path):
    """format: avro: each record is the newest state of its key, one without value a delete."""
    schemas.add(NAMED, subject="money", version=3)
    value = schemas.add(PLAIN, references=[{"name": "shop.Money", "subject": "money", "version": 3}])
    key = schemas.add('"long"')
    place = {"topic": "customers", "partition": 0, "ts": 1, "headers": []}

    def record(offset, identity, data):
        return {**place, "offset": offset, "key_b64": framed(key, number(identity)),
                "value_b64": data and framed(value, data)}

    sink.write({"name": "plain", "topics": ["customers"], "format": "avro", "target": "ods",
                "registry": {"url": schemas.save(tmp_path / "schemas.json")},
                "defaults": {"create_tables": True, "on_delete": "hard"},
                "tables": {"customers": {"key": ["id"]}}}, database=database)
    sink.replay([record(0, 1, plain_row(1, "a")), record(1, 2, plain_row(2, "b")),
                 record(2, 1, plain_row(1, None)), record(3, 2, None)])
    assert database.execute(
        "select id, name, mood, uid::text, born::text, seen::text, price::text, many, "
        "\"any\"::text, nothing, \"limit\"::text, before, scores::text from customers") == [
            (1, None, "OK", "00010203-0405-0607-0809-0a0b0c0d0e0f", "2015-05-21",
             "1969-12-31 23:59:59.999999", "12.34", 1 << 40, '{"long": 5}', None,
             '{"amount": 1.00}', None, '{"k": 7}')]


def test_a_keys_schema_under_a_value_is_refused(sink, database, schemas, tmp_path):
    registry = Registry(schemas)
    try:
        only = schemas.add({"type": "record", "name": "K", "fields": [
            {"name": "id", "type": "long"}]}, subject="customers-key")
        sink.write({"name": "plain", "topics": ["customers"], "format": "avro", "target": "ods",
                    "registry": {"url": registry.url},
                    "defaults": {"create_tables": True}}, database=database)
        letters = tmp_path / "letters.jsonl"
        sink.replay([{"topic": "customers", "partition": 0, "offset": 0,
                      "key_b64": framed(only, number(1)), "value_b64": framed(only, number(1))}],
                    dead_letter=letters)
        assert "customers-key" in errors(letters)["customers", 0]
        assert not database.exists("customers")
    finally:
        registry.stop()


def test_a_format_that_needs_a_registry_says_so(sink, database):
    table = Table()
    sink.write({key: value for key, value in pipeline(table, url="").items() if key != "registry"},
               database=database)
    assert "needs a schema registry" in sink.check(expect=Exit.CONFIG).stderr
    sink.write(pipeline(table, url="http://user:secret@host"), database=database)
    assert "registry.url" in sink.check(expect=Exit.CONFIG).stderr
