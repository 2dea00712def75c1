"""The Kafka target in Avro: what is written, its schemas in a registry, and what the registry's answers mean.
What each type becomes is tests/types/test_types_kafka_avro.py's."""

import base64
import json
import re

import pytest

from lib.avro import Schemas
from lib.avro_reader import Reader
from lib.committed import read_committed
from lib.records import INT, TEXT, Table, pipeline, row
from lib.registry import Registry, basic
from lib.sink import Exit, read_lines

PARTITIONS = 3


@pytest.fixture
def registry():
    registry = Registry(Schemas())
    yield registry
    registry.stop()


@pytest.fixture
def reader(registry):
    reader = Reader(lambda number: registry.schemas.by_id[number]["schema"])
    yield reader
    reader.close()


@pytest.fixture
def out(kafka, prefix, reader):
    """A topic to write to, and what it holds: (key, value) as a foreign reader of Avro has them."""
    class Out:
        topic = f"{prefix}-out"

        def raw(self, topic=None):
            return read_committed(kafka.bootstrap, topic or self.topic, raw=True)

        def read(self, topic=None):
            return [(reader.read(record.key), reader.read(record.value)) for record in self.raw(topic)]

    kafka.create(Out.topic, PARTITIONS)
    return Out()


def target(topic, registry, **settings):
    return [{"name": "ods", "type": "kafka", "topic": topic, "encoding": "avro",
             "registry": {"url": registry.url, "timeout_ms": 1000}, **settings}]


def schema(registry, subject):
    """The newest schema of a subject."""
    return json.loads(registry.subjects[subject][-1])


# --- what is written ----------------------------------------------------------------------------------


def test_envelopes(sink, kafka, registry, out, prefix):
    """As Debezium's Avro converters write them: two schemas, names and all."""
    table = Table(prefix=prefix)
    sink.write(pipeline(table), kafka=True, targets=target(out.topic, registry, partition="0"))
    sink.replay([table.create(row(1)), table.update(row(1), {**row(1, 7), "name": None}),
                 table.delete(row(1)), table.truncate()])
    messages = out.raw()
    assert {message.value[:1] for message in messages if message.value} == {b"\0"}
    created, updated, deleted, tombstone, truncated = out.read()
    assert [key for key, _ in (created, updated, deleted, tombstone)] == 4 * [{"id": 1}]
    assert created[1]["before"] is None and created[1]["after"] == row(1) and created[1]["op"] == "c"
    assert updated[1]["before"] == row(1)
    assert updated[1]["after"] == {"id": 1, "name": None, "amount": 7}
    assert deleted[1]["before"] == row(1) and deleted[1]["after"] is None and deleted[1]["op"] == "d"
    assert tombstone == ({"id": 1}, None) and messages[3].value is None
    assert truncated[0] is None and truncated[1]["op"] == "t"
    assert created[1]["source"] == {**created[1]["source"], "connector": "mysql", "name": "items", "db": "shop",
                                    "schema": None, "table": "items", "snapshot": "false"}
    assert created[1]["ts_ms"] > created[1]["source"]["ts_ms"] > 1_700_000_000_000
    assert set(registry.subjects) == {f"{out.topic}-{what}" for what in ("key", "value", "value-truncate")}
    envelope = schema(registry, f"{out.topic}-value")
    assert (envelope["name"], envelope["namespace"]) == ("Envelope", "items.shop.items")
    assert envelope["connect.name"] == "items.shop.items.Envelope"
    before, after = envelope["fields"][:2]
    assert before["default"] is None and before["type"][0] == "null"
    assert before["type"][1]["name"] == "Value" and after["type"] == ["null", "items.shop.items.Value"]
    assert before["type"][1]["fields"] == [
        {"name": "id", "type": "int"}, {"name": "name", "type": ["null", "string"], "default": None},
        {"name": "amount", "type": ["null", "int"], "default": None}]
    assert schema(registry, f"{out.topic}-key")["fields"] == [{"name": "id", "type": "int"}]
    # Each schema is registered once, by whoever wrote the first record of it.
    assert len(registry.told) == 3


def test_a_truncate_of_a_table_whose_key_is_told(sink, kafka, registry, out, prefix):
    table = Table(prefix=prefix)
    sink.write({**pipeline(table), "tables": {"items": {"key": ["id"]}}}, kafka=True,
               targets=target(out.topic, registry, partition="0"))
    sink.replay([table.create(row(1)), table.truncate()])
    (_, created), (key, truncated) = out.read()
    assert created["op"] == "c" and key is None and truncated["op"] == "t"


def exact(prefix):
    """A table of what is hard to write exactly."""
    time = "io.debezium.time."
    return Table(prefix=prefix, columns={
        "id": {"type": "int64"}, "total": {
            "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
            "parameters": {"scale": "4", "connect.decimal.precision": "38"}},
        "photo": {"type": "bytes"}, "day": {"type": "int32", "name": time + "Date", "version": 1},
        "at": {"type": "int64", "name": time + "MicroTimestamp", "version": 1},
        "flag": {"type": "boolean"}, "ratio": {"type": "double"}, "single": {"type": "float"}, "note": TEXT,
        "tags": {"type": "array", "items": {"type": "string", "optional": True}},
        "kind": {"type": "string", "name": "io.debezium.data.Enum", "version": 1,
                 "parameters": {"allowed": "a,b"}}})


EXACT = {"id": 9007199254740993, "total": "AeJAAAAAAAAAAAE=", "photo": "AP8Q", "day": -719162,
         "at": 1_760_000_000_123_456, "flag": True, "ratio": 0.1, "single": 0.1,
         "note": 'a "q"\n\u0001 ü\U0001f600', "tags": ["x", None, 'y"'], "kind": "b"}
TOTAL = "{0[0]}.{0[1]}".format(re.fullmatch(r"(\d+)(\d{4})", str(int.from_bytes(
    base64.b64decode(EXACT["total"]), "big"))).groups())


@pytest.mark.parametrize("form, format_", [("envelope", "debezium-avro"), ("flattened", "debezium-avro"),
                                           ("plain", "avro")])
def test_there_and_back(sink, kafka, registry, database, out, prefix, form, format_):
    """What is written is read by another pipeline into a table, as it was: one daemon, two registries' users."""
    table = exact(prefix)
    database.execute("create table items (id bigint primary key, total numeric(38,4), photo bytea, day date, "
                     "at timestamp, flag boolean, ratio float8, single float4, note text, tags text[], kind text)")
    kafka.create(table.topic, PARTITIONS)
    nulls = {**dict.fromkeys(EXACT), "id": 2}
    one, other = ({**EXACT, "id": number} for number in (3, 4))
    records = [table.create(EXACT), table.create(nulls, partition=1), table.create(one, partition=2),
               table.update(one, {**one, "note": "changed", "total": "/w=="}, partition=2),
               table.create(other), table.delete(other)]
    second = {"name": "back", "topics": [out.topic], "format": format_, "target": "rows",
              "tables": {"items": {"key": ["id"], "topics": [out.topic]}},
              "defaults": {"on_delete": "hard", "cdc_operation": "off", "cdc_timestamp": "off"}}
    sink.write(pipeline(table), second, kafka=True, registry={"url": registry.url}, targets=[
        {**target(out.topic, registry, format=form)[0], "registry": {"url": ""}},
        {"name": "rows", "type": "postgres", "dsn": database.dsn}])
    kafka.produce(records)
    daemon = sink.daemon().await_ready()

    def ids():
        return [number for number, in database.execute("select id from items order by id")]

    daemon.await_that(lambda: ids() == [2, 3, EXACT["id"]] and database.value(
        "select note from items where id = 3") == "changed", what=lambda: str(ids()))
    (found,) = database.execute("select total::text, photo, day::text, at::text, flag, ratio, single::text, "
                                f"note, tags, kind from items where id = {EXACT['id']}")
    assert found[0] == TOTAL
    assert bytes(found[1]) == b"\0\xff\x10"
    assert found[2:] == ("0001-01-01", "2025-10-09 08:53:20.123456", True, 0.1, "0.1", EXACT["note"],
                         EXACT["tags"], "b")
    assert database.value("select total::text from items where id = 3") == "-0.0001"
    assert set(database.execute("select * from items where id = 2")[0][1:]) == {None}
    daemon.stop()


def test_plain_rows_have_types_that_others_know(sink, kafka, registry, out, prefix):
    table = exact(prefix)
    sink.write(pipeline(table), kafka=True, targets=target(out.topic, registry, format="plain", op_field="op"))
    sink.replay([table.create({**EXACT, "day": 20370})])
    ((key, value),) = out.read()
    assert key == {"id": EXACT["id"]}
    assert value["day"] == {"moment": "2025-10-09"} and value["at"] == {"moment": "2025-10-09T08:53:20.123456"}
    assert value["op"] == "c" and value["tags"] == EXACT["tags"] and value["photo"] == {"bytes": "AP8Q"}
    assert value["total"] == {"decimal": TOTAL}


def test_columns_without_a_type_are_strings(sink, kafka, registry, out, prefix):
    """Whatever their values are: the schema does not change as they do. cast gives them a type."""
    from lib.maxwell import Table as Maxwell
    source = Maxwell("orders", prefix=prefix)
    sink.write({"name": "p", "topics": [source.topic], "format": "maxwell", "target": "ods",
                "transforms": [{"type": "set", "columns": {"flag": 1, "sure": 1}},
                               {"type": "cast", "columns": {"sure": "integer", "total": "decimal(12,2)"}}]},
               kafka=True, targets=target(out.topic, registry, format="plain", partition="0"))
    sink.replay([source.insert({"id": 1, "total": 7.5, "note": "x"}),
                 source.insert({"id": 2, "total": 7, "note": 12})])
    assert [value for _, value in out.read()] == [
        {"id": "1", "total": {"decimal": "7.50"}, "note": "x", "flag": "1", "sure": 1},
        {"id": "2", "total": {"decimal": "7.00"}, "note": "12", "flag": "1", "sure": 1}]
    assert len(registry.told) == 2


def test_what_is_not_carried(sink, kafka, registry, out, prefix):
    """A large value that an update does not carry is Debezium's placeholder, also for bytes and in arrays; a
    value that has no place for it is a letter."""
    table = Table(prefix=prefix, columns={"id": INT, "name": TEXT, "photo": {"type": "bytes"}, "tags": {
        "type": "array", "items": {"type": "string", "optional": True}}})
    gone = "__debezium_unavailable_value"
    encoded = base64.b64encode(gone.encode()).decode()
    sink.write(pipeline(table), kafka=True, targets=target(out.topic, registry))
    sink.replay([table.update({"id": 1}, {"id": 1, "name": gone, "photo": encoded, "tags": [gone]})])
    ((_, value),) = out.read()
    assert value["after"] == {"id": 1, "name": gone, "photo": {"bytes": encoded}, "tags": [gone]}
    letters = sink.folder / "letters.jsonl"
    numbers = Table("numbers", prefix=prefix, columns={"id": INT, "name": TEXT, "more": {
        "type": "array", "items": {"type": "int32", "optional": True}}})
    sink.write(pipeline(numbers), kafka=True, targets=target(out.topic, registry, subject="topic_record"))
    record = numbers.update({"id": 1}, {"id": 1, "name": "x", "more": list(gone.encode())})
    record["payload"] = json.dumps(json.loads(record["payload"]), separators=(",", ":"))
    sink.replay([record], dead_letter=letters)
    (letter,) = read_lines(letters)
    assert "column more" in json.dumps(letter) and "does not carry" in json.dumps(letter)
    totals = Table("totals", prefix=prefix, columns={"id": INT, "name": TEXT, "total": {
        "type": "bytes", "optional": True, "name": "org.apache.kafka.connect.data.Decimal",
        "parameters": {"scale": "2", "connect.decimal.precision": "60"}}})
    sink.write(pipeline(totals), kafka=True, targets=target(out.topic, registry, subject="topic_record"))
    letters.unlink()
    sink.replay([totals.update({"id": 1}, {"id": 1, "name": "x", "total": encoded})], dead_letter=letters)
    (letter,) = read_lines(letters)  # its bytes would be a number
    assert "column total" in json.dumps(letter) and "does not carry" in json.dumps(letter)


def test_a_tombstone_alone_is_one(sink, kafka, registry, out, prefix):
    """A key makes no row: it has the same bytes as that of the row, so compaction takes it out."""
    table = Table(prefix=prefix, columns={"id": {**INT, "parameters": {
        "__debezium.source.column.type": "INT", "__debezium.source.column.length": "11"}}, "name": TEXT})
    sink.write(pipeline(table), kafka=True, targets=target(out.topic, registry, partition="0"))
    created = table.create({"id": 1, "name": "x"})
    table.columns = {**table.columns, "id": INT}
    sink.replay([created, table.tombstone({"id": 1})])
    created, tombstone = out.raw()
    assert created.value and tombstone.value is None and created.key == tombstone.key
    letters = sink.folder / "letters.jsonl"
    sink.write(pipeline(table), kafka=True, targets=target(out.topic, registry, deletes="row"))
    sink.replay([table.tombstone({"id": 1})], dead_letter=letters)
    assert "key alone" in json.dumps(read_lines(letters))


def test_an_image_before_without_its_columns(sink, kafka, registry, out, prefix):
    """One that lacks a column that can't be null is none; the key says which row it was."""
    table = Table(prefix=prefix)
    table._fields = lambda: [{**told, "optional": False, "field": name} for name, told in table.columns.items()]
    sink.write(pipeline(table), kafka=True, targets=target(out.topic, registry, partition="0"))
    sink.replay([table.update({"id": 1}, row(1)), table.delete({"id": 1})])
    updated, deleted, tombstone = out.read()
    assert updated[1]["before"] is None and updated[1]["after"] == row(1)
    assert deleted == ({"id": 1}, deleted[1]) and deleted[1]["before"] is None and deleted[1]["op"] == "d"
    assert tombstone == ({"id": 1}, None)


def test_values_that_do_not_fit_are_letters(sink, kafka, registry, out, prefix):
    decimal = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
               "parameters": {"scale": "2", "connect.decimal.precision": "4"}}
    table = Table(prefix=prefix, columns={"id": INT, "small": {"type": "int16"}, "price": decimal,
                                          "flag": {"type": "boolean"}})
    good = {"id": 1, "small": 1, "price": "AQ==", "flag": True}
    letters = sink.folder / "letters.jsonl"
    sink.write(pipeline(table), kafka=True, targets=target(out.topic, registry))
    sink.replay([table.create({**good, "small": 40000}), table.create({**good, "id": 3_000_000_000}),
                 table.create({**good, "price": "JxA="}), table.create({**good, "flag": "yes"}),
                 table.create({**good, "small": "text"}), table.create({**good, "price": ""}),
                 table.create(good)], dead_letter=letters)
    assert [value["after"]["id"] for _, value in out.read()] == [1]
    texts = {letter["offset"]: json.dumps(letter) for letter in read_lines(letters)}
    assert len(texts) == 6
    for offset, wanted in enumerate(("column small", "id", "digits than its precision", "column flag",
                                     "column small", "column price")):
        assert wanted in texts[offset], texts[offset]


def test_names_that_avro_does_not_have(sink, kafka, registry, out, prefix):
    table = Table(prefix=prefix, columns={"id": INT, "unit-price": INT})
    letters = sink.folder / "letters.jsonl"
    sink.write(pipeline(table), kafka=True, targets=target(out.topic, registry))
    sink.replay([table.create({"id": 1, "unit-price": 2})], dead_letter=letters)
    assert "rename" in json.dumps(read_lines(letters)) and "unit-price" in json.dumps(read_lines(letters))
    flow = {**pipeline(table), "tables": {"items": {"columns": {"rename": {"unit-price": "unit_price"}}}}}
    sink.write(flow, kafka=True, targets=target(out.topic, registry))
    sink.replay([table.create({"id": 1, "unit-price": 2})])
    assert out.read()[0][1]["after"] == {"id": 1, "unit_price": 2}


@pytest.mark.parametrize("subject, wanted", [
    ("record", {"items.shop.{}.Key", "items.shop.{}.Envelope"}),
    ("topic_record", {"{topic}-items.shop.{}.Key", "{topic}-items.shop.{}.Envelope"})])
def test_tables_that_share_a_topic(sink, kafka, registry, out, prefix, subject, wanted):
    tables = [Table(prefix=prefix), Table("orders", prefix=prefix)]
    sink.write(pipeline(f"^{prefix}\\."), kafka=True, targets=target(out.topic, registry, subject=subject))
    sink.replay([table.create(row(number)) for number, table in enumerate(tables)])
    assert set(registry.subjects) == {name.format(table.name, topic=out.topic)
                                      for name in wanted for table in tables}


def test_keys_as_they_came(sink, kafka, registry, out, prefix):
    table = Table(prefix=prefix)
    sink.write(pipeline(table), kafka=True, targets=target(out.topic, registry, key="record"))
    record = table.create(row(1))
    sink.replay([record])
    assert out.raw()[0].key == record["key"].encode() and set(registry.subjects) == {f"{out.topic}-value"}


# --- the registry's answers ---------------------------------------------------------------------------


@pytest.fixture
def waiting(sink, kafka, registry, out, prefix):
    """A daemon that writes some tables, each with schemas of its own."""
    class Waiting:
        tables = [Table(f"table{number}", prefix=prefix) for number in range(6)]
        letters = f"{prefix}-letters"

        def start(self, **settings):
            sink.write(pipeline(f"^{prefix}\\.shop"), kafka=True, lanes=1, dead_letter={"topic": self.letters},
                       targets=target(out.topic, registry, subject="topic_record", **settings))
            self.daemon = sink.daemon().await_ready()
            return self

        def send(self, number, count=3):
            kafka.produce([self.tables[number].create(row(which)) for which in range(count)])

        def await_count(self, count):
            self.daemon.await_that(lambda: len(out.raw()) == count, what=f"{count} records")

        def says(self, *words):
            status = self.daemon.get("/status")[1]
            return all(word in status for word in words)

        def await_says(self, *words):
            self.daemon.await_that(lambda: self.says(*words), what=lambda: self.daemon.get("/status")[1])

        def subject(self, number, what="Envelope"):
            return f"{out.topic}-items.shop.table{number}.{what}"

        def read_letters(self):
            return read_committed(kafka.bootstrap, self.letters)

    for topic in (Waiting.letters, *(table.topic for table in Waiting.tables)):
        kafka.create(topic, 1)
    return Waiting()


def test_a_registry_that_is_away_is_an_outage(waiting, registry):
    waiting.start()
    waiting.send(0)
    waiting.await_count(3)
    registry.stop()
    waiting.send(0)  # what is known needs no registry
    waiting.await_count(6)
    waiting.send(1)
    waiting.await_says("registry http://", "table shop.table1")
    registry.start()
    waiting.await_count(9)
    for number, code in ((2, 500), (3, 429)):
        registry.status = code
        waiting.send(number)
        waiting.await_says(f"HTTP {code}")
        registry.status = 0
        waiting.await_count(3 * (number + 2))
    registry.authorization = basic("u", "p")
    waiting.send(4)
    waiting.await_says("HTTP 401", "registry.user")
    registry.authorization = None
    waiting.await_count(18)
    registry.refusals[waiting.subject(5)] = 422, 42205  # a subject that may only be read
    waiting.send(5)
    waiting.await_says("HTTP 422")
    registry.refusals.clear()
    waiting.await_count(21)
    assert not waiting.read_letters()
    waiting.daemon.stop()


def test_an_answer_may_take_as_long_as_the_settings_say(sink, kafka, table, registry, out):
    settings = target(out.topic, registry)
    settings[0]["registry"]["timeout_ms"] = 30_000
    sink.write(pipeline(table), kafka=True, targets=settings)
    registry.delay_s = 8
    assert f"registry {registry.url} answers" in sink.check("--connect").stdout


@pytest.mark.parametrize("code, error", [(409, 409), (422, 42201)])
def test_a_schema_that_is_refused_makes_letters(waiting, registry, code, error):
    registry.refusals[waiting.subject(1)] = code, error
    waiting.start()
    for number in range(3):
        waiting.send(number)
    waiting.await_count(6)
    waiting.daemon.await_that(lambda: len(waiting.read_letters()) == 3)
    for letter in waiting.read_letters():
        why = json.dumps(letter.headers)
        assert waiting.subject(1) in why and "table shop.table1" in why and f"HTTP {code}, not this one" in why
        assert "compatibility" in why
    # One question for all of them.
    assert registry.told.count((waiting.subject(1), True)) == 1
    waiting.daemon.stop()


def test_schemas_that_others_register(waiting, registry):
    waiting.start(register_schemas=False)
    waiting.send(0)
    waiting.await_says("register its schema, or set register_schemas", waiting.subject(0, "Key"))
    assert not any(registered for _, registered in registry.told) and not any(registry.subjects.values())
    waiting.daemon.stop()
    waiting.start()
    waiting.await_count(3)
    waiting.daemon.stop()
    registry.told.clear()
    waiting.start(register_schemas=False)
    waiting.send(0)
    waiting.await_count(6)
    waiting.daemon.stop()
    assert {registered for _, registered in registry.told} == {False}


def test_kills_change_nothing_for_readers_of_committed_records(sink, kafka, table, registry, out, reader):
    """Each change is there once, in the order of its key."""
    sink.write(pipeline(table), kafka=True, batch={"max_events": 40}, targets=target(
        out.topic, registry, transaction_timeout_ms=2000))
    for start in range(0, 1200, 300):
        kafka.produce([table.create(row(number), partition=number % PARTITIONS)
                       for number in range(start, start + 300)])
        daemon = sink.daemon().await_ready()
        daemon.await_that(lambda: len(out.raw()) > start + 20, what="some of them")
        daemon.kill()
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: len(out.raw()) >= 1200, what=lambda: str(len(out.raw())))
    daemon.stop()
    assert sorted(value["after"]["id"] for _, value in out.read()) == list(range(1200))


# --- settings -----------------------------------------------------------------------------------------


def test_settings_are_checked_where_they_stand(sink, kafka, table, registry):
    for settings, wanted in (({"registry": {"url": ""}}, "needs a schema registry"),
                             ({"registry": {"url": "file:///tmp/x"}}, "registry.url"),
                             ({"registry": {"url": registry.url, "user": "u", "token": "t"}}, "registry.token"),
                             ({"encoding": "json"}, "JSON needs none"),
                             ({"schemas": False}, "nothing without its schema")):
        sink.write(pipeline(table), kafka=True, targets=[{**target("out", registry)[0], **settings}])
        said = sink.check(expect=Exit.CONFIG).stderr
        assert wanted in said and ("ods-sink.conf:" in said or "tables.yaml:" in said), said
    sink.write(pipeline(table), kafka=True, registry={"url": f"{registry.url},file:///tmp/x"},
               targets=[{**target("out", registry)[0], "registry": {"url": ""}}])
    assert "a file keeps no schemas" in sink.check(expect=Exit.CONFIG).stderr


def test_check_asks_the_registry(sink, kafka, table, registry, prefix):
    sink.write(pipeline(table), kafka=True, targets=target(kafka.create(f"{prefix}-out", 1), registry))
    assert f"registry {registry.url} answers, with 0 subjects" in sink.check("--connect").stdout
    registry.stop()
    assert f"registry {registry.url}" in sink.check("--connect", expect=Exit.TARGET).stdout
