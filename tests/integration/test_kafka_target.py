"""The Kafka target: changes as records, exactly once at the source's cluster, at least once at another
one."""

import json
import time

import pytest

from conftest import build
from lib.committed import read_committed
from lib.records import INT, TEXT, Table, pipeline, row
from lib.sink import Exit, read_lines
from lib.size import size

PARTITIONS = 3


def target(topic, **settings):
    return [{"name": "ods", "type": "kafka", "topic": topic, **settings}]


@pytest.fixture
def out(kafka, prefix):
    """A topic to write to, and what it holds."""
    class Out:
        topic = f"{prefix}-out"

        def read(self, topic=None):
            return read_committed(kafka.bootstrap, topic or self.topic)

    kafka.create(Out.topic, PARTITIONS)
    return Out()


def run_until(sink, records, ready):
    """A daemon that has applied all when it stops."""
    daemon = sink.daemon().await_ready()
    try:
        daemon.await_that(ready, what="records in the target")
    finally:
        daemon.stop()
    return daemon


def test_envelopes_exactly_once(sink, kafka, table, out):
    sink.write(pipeline(table), kafka=True, targets=target(out.topic))
    assert "exactly once" in sink.check().stdout
    records = [table.create(row(number), partition=number % 3) for number in range(60)]
    records += [table.update(row(1), row(1, 5), partition=1), table.delete(row(2), partition=2)]
    kafka.produce(records)
    run_until(sink, records, lambda: len(out.read()) >= 63)
    read = out.read()
    assert len(read) == 63
    by_key = {}
    for record in read:
        by_key.setdefault(record.key, []).append(record)
    assert len(by_key) == 60
    one = by_key[records[1]["key"]]
    assert [record.payload()["op"] for record in one] == ["c", "u"]
    assert one[1].payload()["before"] == row(1) and one[1].payload()["after"] == row(1, 5)
    two = by_key[records[2]["key"]]
    assert two[1].payload()["before"] == row(2) and two[1].payload()["op"] == "d"
    assert two[2].value is None, "no tombstone behind the delete"
    source = one[0].payload()["source"]
    assert (source["db"], source["table"], source["connector"]) == ("shop", "items", "mysql")
    # The group's offsets are where the transaction has put them.
    committed = kafka.committed(f"{sink.group}.items", table.topic, PARTITIONS)
    assert sum(committed) == len(records)
    # And again: nothing more.
    daemon = sink.daemon().await_ready()
    kafka.produce([table.create(row(100))])
    daemon.await_that(lambda: len(out.read()) == 64, what="one more")
    daemon.stop()


def test_an_idle_target_does_not_grow(sink, kafka, table, out):
    """The client's statistics, here every 4 ms, are taken while there is nothing to send. The release build:
    AddressSanitizer keeps what is freed."""
    sink.binary = build("release")
    sink.write(pipeline(table), kafka=True,
               targets=target(out.topic, properties={"statistics.interval.ms": "4"}))
    kafka.produce([table.create(row(1))])
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: len(out.read()) == 1)
    seconds = size("IDLE_S", 8, 20)
    time.sleep(6)  # what it holds between two looks is there
    before = daemon.metric("process_resident_memory_bytes")
    time.sleep(seconds)
    assert daemon.metric("process_resident_memory_bytes") - before < (4 << 20) + seconds * 1_000_000
    daemon.stop()


def replayed(sink, out, records):
    """What a recording becomes: replay has no offsets to commit, and needs no lane."""
    sink.replay(records)
    return out.read()


def exact_table(prefix="src"):
    """A table with values that are hard to write exactly."""
    return Table(prefix=prefix, columns={
        "id": {"type": "int64"}, "total": {
            "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
            "parameters": {"scale": "4", "connect.decimal.precision": "38"}},
        "big": {"type": "int64", "parameters": {
            "__debezium.source.column.type": "BIGINT UNSIGNED"}},
        "photo": {"type": "bytes"}, "at": {
            "type": "int64", "name": "io.debezium.time.MicroTimestamp", "version": 1},
        "flag": {"type": "boolean"}, "ratio": {"type": "double"}, "note": TEXT,
        "tags": {"type": "array", "items": {"type": "string", "optional": True}},
        "kind": {"type": "string", "name": "io.debezium.data.Enum", "version": 1,
                 "parameters": {"allowed": "a,b"}}})


EXACT = {"id": 9007199254740993, "total": "AeJAAAAAAAAAAAE=", "big": -1, "photo": "AP8Q",
         "at": 1_760_000_000_123_456, "flag": True, "ratio": 0.1, "note": 'a "q"\n\u0001 ü\U0001f600',
         "tags": ["x", None, 'y"'], "kind": "b"}


@pytest.mark.parametrize("form", ["envelope", "flattened"])
def test_values_go_through_unchanged(sink, kafka, out, prefix, form):
    """All that a record said of a row is in what is written: read by the same decoder it is the same."""
    table = exact_table(prefix)
    nulls = {**dict.fromkeys(EXACT), "id": 2}
    sink.write(pipeline(table), kafka=True, targets=target(out.topic, format=form))
    records = [table.create(EXACT), table.create(nulls)]
    first, second = sorted(replayed(sink, out, records), key=lambda record: len(record.value),
                           reverse=True)
    payload = first.payload()
    row_of = (lambda payload: payload["after"]) if form == "envelope" else (
        lambda payload: {name: value for name, value in payload.items() if name[:2] != "__"})
    told = {row_of(record.payload())["id"]: row_of(record.payload()) for record in (first, second)}
    assert told == {EXACT["id"]: EXACT, 2: nulls}
    if form == "flattened":
        assert {name: value for name, value in payload.items() if name[:2] == "__"} == {
            "__op": "c", "__db": "shop", "__schema": None, "__table": "items",
            "__source_ts_ms": payload["__source_ts_ms"], "__deleted": "false"}
    fields = first.json()["schema"]["fields"]
    if form == "envelope":
        fields = next(field for field in fields if field["field"] == "after")["fields"]
    was = {field["field"]: field for field in table._fields()}
    for field in fields:
        if field["field"] in was:
            assert field == {**field, **was[field["field"]]}, "a declaration was lost"
    assert '"id":9007199254740993' in first.value


def test_plain_rows(sink, kafka, out, prefix):
    table = exact_table(prefix)
    sink.write(pipeline(table), kafka=True, targets=target(
        out.topic, format="plain", key="columns", op_field="op"))
    created, deleted = replayed(sink, out, [table.create(EXACT), table.delete(EXACT)])
    assert created.key == deleted.key == '{"id":9007199254740993}'
    assert deleted.value is None
    assert json.loads(created.value) == {
        "id": 9007199254740993, "total": json.loads(created.value)["total"],
        "big": 18446744073709551615, "photo": "\\x00ff10", "at": "2025-10-09T08:53:20.123456",
        "flag": True, "ratio": 0.1, "note": EXACT["note"], "tags": EXACT["tags"], "kind": "b",
        "op": "c"}
    # Digit by digit: a float would not hold them.
    number = int.from_bytes(__import__("base64").b64decode(EXACT["total"]), "big", signed=True)
    assert f'"total":{str(number)[:-4]}.{str(number)[-4:]},' in created.value


def test_absent_is_not_null(sink, kafka, out, prefix):
    """An update without a large value: Debezium's placeholder, and no member in a plain row."""
    table = Table(prefix=prefix)
    record = table.update(row(1), {**row(1, 7), "name": "__debezium_unavailable_value"})
    plain, bare = f"{out.topic}-plain", f"{out.topic}-bare"
    for topic, settings in ((out.topic, {}), (plain, {"format": "plain"}),
                            (bare, {"schemas": False})):
        sink.write(pipeline(table), kafka=True, targets=target(topic, create_topics=True, **settings))
        sink.replay([record])
    assert out.read()[0].payload()["after"] == {**row(1, 7), "name": "__debezium_unavailable_value"}
    assert json.loads(out.read(plain)[0].value) == {"id": 1, "amount": 7}
    assert json.loads(out.read(bare)[0].value)["after"] == out.read()[0].payload()["after"]


def test_templates_headers_and_partitions(sink, kafka, out, prefix):
    """Topics by the table, one of which is made; headers kept and added; a partition that is chosen."""
    items, orders = Table(prefix=prefix), Table("orders", prefix=prefix)
    sink.write({**pipeline(f"^{prefix}\\."), "tables": {"skipped": {"skip": True}}}, kafka=True,
               targets=target(f"{prefix}-of-{{{{table}}}}", create_topics=True, partitions=5,
                              topic_settings={"cleanup.policy": "compact"}, partition="2",
                              headers={"origin": "{{topic}}/{{partition}}/{{offset}}",
                                       "what": "{{op}} {{row.name}}"}))
    first = {**items.create(row(1)), "headers": ["trace", "abc"]}
    sink.replay([first, orders.create(row(2), partition=1),
                 Table("skipped", prefix=prefix).create(row(3))])
    (item,), (order,) = out.read(f"{prefix}-of-items"), out.read(f"{prefix}-of-orders")
    assert item.headers == {"origin": f"{items.topic}/0/0", "what": "c n1"} | (
        {"trace": "abc"} if item.headers.get("trace") else {})
    assert order.headers["origin"] == f"{orders.topic}/1/0"
    assert item.partition == order.partition == 2
    assert f"{prefix}-of-skipped" not in kafka.topics()
    described = kafka._admin.list_topics(timeout=20).topics[f"{prefix}-of-items"]
    assert len(described.partitions) == 5


def test_partitions_are_those_of_the_source(sink, kafka, out, prefix):
    """By the same hash a key stands in the partition of the same number; and "same" copies the number."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, PARTITIONS)
    producer = kafka._make_producer()
    for number in range(40):
        record = table.create(row(number))
        producer.produce(table.topic, key=record["key"], value=record["payload"])
    producer.flush(30)
    came = {record.key: record.partition for record in read_committed(kafka.bootstrap, table.topic)}
    same = kafka.create(f"{prefix}-same", PARTITIONS)
    sink.write(pipeline(table), pipeline(table, "copy", target="copy"), kafka=True, targets=[
        *target(out.topic), {**target(same, partition="same")[0], "name": "copy"}])
    run_until(sink, None, lambda: len(out.read()) == len(out.read(same)) == 40)
    assert {record.key: record.partition for record in out.read()} == came
    assert {record.key: record.partition for record in out.read(same)} == came
    assert len(set(came.values())) == PARTITIONS


def test_tombstones_by_choice(sink, kafka, prefix, out):
    table = Table(prefix=prefix)
    records = [table.create(row(1)), table.delete(row(1)), table.tombstone(row(1))]
    expected = {("envelope", "auto"): ["c", "d", None], ("envelope", "tombstone"): ["c", None],
                ("flattened", "auto"): ["c", None], ("flattened", "row"): ["c", "d"],
                ("flattened", "both"): ["c", "d", None]}
    for number, ((form, deletes), wanted) in enumerate(expected.items()):
        topic = f"{prefix}-{number}"
        sink.write(pipeline(table), kafka=True, targets=target(
            topic, create_topics=True, format=form, deletes=deletes))
        sink.replay(records)
        got = [record.value and record.payload() for record in out.read(topic)]
        assert [value and (value.get("op") or value["__op"]) for value in got] == wanted, form
    sink.write(pipeline(table), kafka=True, targets=target(out.topic, format="plain", deletes="row"))
    assert "op_field" in sink.check(expect=Exit.CONFIG).stderr


def test_a_key_that_changes_takes_the_old_one_out(sink, kafka, out, prefix):
    """With a key of one's own, an update of it is a delete of the old row and a create of the new one."""
    table = Table(prefix=prefix)
    sink.write({**pipeline(table), "tables": {"items": {"key": ["name"]}}}, kafka=True,
               targets=target(out.topic, key="columns", schemas=False))
    records = replayed(sink, out, [table.create(row(1)),
                                   table.update(row(1), {**row(1), "name": "other"})])
    seen = {}
    for record in records:
        seen.setdefault(json.loads(record.key)["name"], []).append(
            record.value and json.loads(record.value)["op"])
    assert seen == {"n1": ["c", "d", None], "other": ["c"]}


def test_a_key_without_a_type_is_the_same_whatever_came_before(sink, out, prefix):
    """Its column is declared by its value: in a process's first record as in later ones, behind a text as
    behind a number."""
    table = Table(prefix=prefix)
    short, long = row(1), {**row(2), "name": "longer"}
    part = {"type": "set", "rekey": True, "columns": {"part": {"lua": "#after.name == 2 and 7 or 'x'"}}}
    sink.write({**pipeline(table), "transforms": [part], "tables": {"items": {"key": ["id", "part"]}}},
               kafka=True, targets=target(out.topic, partition="0", key="columns", deletes="tombstone"))
    sink.replay([table.create(short), table.create(long), table.delete(short)])
    sink.replay([table.delete(long), table.create(short)])
    keys = [json.loads(record.key) for record in out.read()]
    assert [key["payload"] for key in keys] == [{"id": 1, "part": 7}, {"id": 2, "part": "x"}, {"id": 1, "part": 7},
                                                {"id": 2, "part": "x"}, {"id": 1, "part": 7}]
    assert keys[0] == keys[2] == keys[4] and keys[1] == keys[3]
    assert [key["schema"]["fields"][1]["type"] for key in keys[:2]] == ["int64", "string"]


def test_a_truncate_has_no_key(sink, out, prefix):
    """Whatever the key of the table's rows is."""
    table = Table(prefix=prefix)
    for schemas in (True, False):
        sink.write({**pipeline(table), "tables": {"items": {"key": ["id"]}}}, kafka=True, targets=target(
            out.topic, partition="0", key="columns", schemas=schemas))
        sink.replay([table.truncate()])
    told = [(record.key, json.loads(record.value)) for record in out.read()]
    assert [(key, value.get("payload", value)["op"]) for key, value in told] == [(None, "t"), (None, "t")]


def test_letters(sink, kafka, table, out):
    """What the brokers or the settings refuse is set aside, its neighbours are written, in transactions
    and in others; a topic that takes less than is sent at once is no fault of a row."""
    kafka.alter(out.topic, max_message_bytes=4000)
    letters = kafka.create(f"{out.topic}-letters", 1)
    sink.write(pipeline(table), kafka=True, dead_letter={"topic": letters}, targets=target(
        out.topic, schemas=False, max_record_bytes=20000))
    records = [table.create({**row(number), "name": "x" * (
        9000 if number == 7 else 30000 if number == 11 else 100)}) for number in range(200)]
    kafka.produce(records)
    daemon = run_until(sink, records, lambda: len(out.read()) >= 198)
    assert {json.loads(record.value)["after"]["id"] for record in out.read()} == \
        set(range(200)) - {7, 11}
    assert len(out.read()) == 198, "something is there twice"
    told = {record.headers["ods.offset"]: record.headers for record in
            read_committed(kafka.bootstrap, letters)}
    assert len(told) == 2, daemon.tail()
    texts = " ".join(json.dumps(headers) for headers in told.values())
    assert "max_record_bytes" in texts and "MSG_SIZE_TOO_LARGE" in texts
    assert kafka.committed(f"{sink.group}.items", table.topic, PARTITIONS)[0] == 200


def test_records_that_no_topic_takes(sink, kafka, out, prefix, tmp_path):
    """No key for a compacted topic, a truncate of rows, a name that is none: letters, not the lane."""
    table, keyless = Table(prefix=prefix), Table("keyless", key=(), prefix=prefix)
    compacted = kafka.create(f"{prefix}-compacted", 1, cleanup_policy="compact")
    letters = tmp_path / "letters.jsonl"
    sink.write(pipeline(f"^{prefix}\\."), kafka=True, targets=target(compacted, format="plain"))
    sink.replay([table.create(row(1)), keyless.create(row(2)), table.create(row(3)),
                 table.truncate()], dead_letter=letters)
    assert [json.loads(record.value)["id"] for record in out.read(compacted)] == [1, 3]
    texts = [json.dumps(letter) for letter in read_lines(letters)]
    assert len(texts) == 2 and "without key" in texts[0] + texts[1] and "truncate" in texts[1] + texts[0]
    letters.unlink()
    sink.write(pipeline(f"^{prefix}\\."), kafka=True, targets=target("{{row.name}}"))
    sink.replay([table.create({**row(1), "name": "no topic"})], dead_letter=letters)
    (letter,) = read_lines(letters)
    assert 'can be called \\"no topic\\"' in json.dumps(letter)


def test_rows_of_one_record_do_not_share_its_key(sink, kafka, table, out):
    """Compaction would leave one of them, and a tombstone of one would take all out."""
    flow = {**pipeline(table), "transforms": [{"explode": {"column": "name", "table": "parts"}}]}
    sink.write(flow, kafka=True, targets=target(out.topic))
    assert 'set key = "columns"' in sink.check("--connect", expect=Exit.CONFIG).stdout
    sink.write(flow, kafka=True, targets=target(out.topic, key="columns")).check("--connect")


def test_it_does_not_go_round(sink, kafka, table):
    sink.write(pipeline(table), kafka=True, targets=target(table.topic))
    kafka.produce([table.create(row(1))])
    said = sink.check(expect=Exit.CONFIG).stderr
    assert "go round for ever" in said and "tables.yaml:" in said
    assert "go round for ever" in sink.run("replay", "-c", sink.conf, sink.file_of(
        [table.create(row(2))]), expect=Exit.CONFIG).stderr
    daemon = sink.daemon()
    assert daemon.process.wait(60) == Exit.CONFIG and "go round for ever" in daemon.log()
    # A name that a change gives, and another way to the same brokers.
    brokers = kafka.bootstrap.replace("127.0.0.1", "localhost")
    for settings in ({"topic": "{{topic}}"}, {"topic": "{{topic}}", "brokers": brokers},
                     {"topic": table.topic, "brokers": brokers}):
        sink.write(pipeline(table), kafka=True, targets=target(**settings))
        sink.check()
        assert "go round for ever" in sink.replay_fails(
            [table.create(row(2))], Exit.TARGET).stderr
    assert "go round for ever" in sink.check("--connect", expect=Exit.TARGET).stdout
    assert kafka.count(table.topic) == 1


def test_brokers_that_make_topics_are_left_to_it(sink, kafka, table, prefix, out):
    sink.write(pipeline(table), kafka=True, targets=target(f"{prefix}-later"))
    found = sink.check("--connect").stdout
    assert f"topic {prefix}-later is not there: the brokers create it" in found
    assert f"{prefix}-later is not there" in sink.check("--connect").stdout, "check has made it"
    assert "the source's own" in found and "exactly once" in found


def test_settings_are_checked_where_they_stand(sink, kafka, table):
    for settings, wanted in (({"partition": "some"}, "partition"),
                             ({"properties": {"acks": "1"}}, "acks"),
                             ({"properties": {"compression.type": "some"}}, "compression.type"),
                             ({"op_field": "op"}, "op_field"), ({"topic": "{{none}}"}, "none"),
                             ({"headers": {"x": "{{none}}"}}, "x"),
                             ({"properties": {"socket.timeout.ms": "20000"}}, "socket.timeout.ms"),
                             ({"properties": {"max.in.flight": "9"}}, "max.in.flight")):
        sink.write(pipeline(table), kafka=True, targets=[{**target("out")[0], **settings}])
        said = sink.check(expect=Exit.CONFIG).stderr
        assert wanted in said and "ods-sink.conf:" in said, said
    # The source's servers under an address of their own: a transaction too, as the pipeline shows.
    sink.write(pipeline(table), kafka=True, targets=target("out", brokers=kafka.bootstrap, properties={
        "socket.timeout.ms": "20000"}))
    assert "socket.timeout.ms" in sink.check(expect=Exit.CONFIG).stderr
    # What the consumers wait is no business of the writer's.
    sink.write(pipeline(table), kafka=True, kafka_properties={"socket.timeout.ms": "60000"},
               targets=target(kafka.create(f"{table.topic}-out", 1)))
    sink.check("--connect")
    sink.write(pipeline(table), kafka=True, kafka_properties={
        "isolation.level": "read_uncommitted"}, targets=target("out"))
    daemon = sink.daemon()
    assert daemon.process.wait(60) == Exit.CONFIG and "isolation.level" in daemon.log()


def test_another_cluster_is_at_least_once(sink, kafka, table, out):
    """Here another way to the same brokers, which the target can't know to be one."""
    brokers = kafka.bootstrap.replace("127.0.0.1", "localhost")
    sink.write(pipeline(table), kafka=True, targets=target(out.topic, brokers=brokers, schemas=False))
    assert "at least once" in sink.check().stdout
    assert "another cluster" in sink.check("--connect").stdout
    records = [table.create(row(number), partition=number % 3) for number in range(50)]
    kafka.produce(records)
    run_until(sink, records, lambda: len(out.read()) >= 50)
    assert {json.loads(record.value)["after"]["id"] for record in out.read()} == set(range(50))
    # Acknowledged by the lane when all is written.
    assert sum(kafka.committed(f"{sink.group}.items", table.topic, PARTITIONS)) == 50


def test_maxwell_to_plain_rows_to_a_table(sink, kafka, database, prefix, out):
    """Two pipelines in one daemon: what the first writes is the second's source."""
    from lib.maxwell import Table as Maxwell
    source = Maxwell("orders", prefix=prefix)
    kafka.create(source.topic, PARTITIONS)
    database.execute("create table orders (id bigint primary key, total numeric(12,2), note text, "
                     "flag int, sync_at timestamptz)")
    first = {"name": "enrich", "topics": [source.topic], "format": "maxwell", "target": "enriched",
             "transforms": [{"type": "set", "columns": {"flag": 1, "sync_at": {"now": True}}}]}
    second = {"name": "apply", "topics": [out.topic], "format": "json", "target": "ods",
              "tables": {"orders": {"key": ["id"], "topics": [out.topic], "on_delete": "hard",
                                    "cdc_operation": "off", "cdc_timestamp": "off"}}}
    sink.write(first, second, kafka=True, database=database, targets=[
        {**target(out.topic, format="plain", key="columns")[0], "name": "enriched"},
        {"name": "ods", "type": "postgres", "dsn": database.dsn}])
    rows = {number: {"id": number, "total": number + 0.25, "note": f'n"{number}'}
            for number in range(1, 21)}
    records = [source.insert(rows[number]) for number in rows]
    records += [source.update(rows[3], {**rows[3], "note": None}), source.delete(rows[4]),
                source.update(rows[5], {**rows[5], "id": 50})]
    kafka.produce(records)
    daemon = sink.daemon().await_ready()
    expected = {number: None if number == 3 else f'n"{number}' for number in rows
                if number not in (4, 5)} | {50: 'n"5'}
    def notes():
        return dict(database.execute("select id, note from orders"))

    daemon.await_that(lambda: notes() == expected, what=lambda: str(sorted(notes().items())))
    assert database.value("select count(*) from orders where flag = 1 and sync_at is not null "
                          "and total = case when id = 50 then 5 else id end + 0.25") == 19
    daemon.stop()
