"""`ods-sink topics`: what feeds what, and how far it is, by Kafka and the target themselves."""

import json
import time

import pytest
from lib.records import Table, pipeline, row
from lib.sink import Exit, free_port


def ask(sink, *arguments, **options):
    done = sink.run("topics", "-c", sink.conf, "--json", *arguments, **options)
    return json.loads(done.stdout)


def feed_of(answer, topic):
    (found,) = [feed for feed in answer["topics"] if feed["topic"] == topic]
    return found


@pytest.fixture
def fed(kafka, sink, database, prefix):
    """Two partitions; in partition 0 five records, of which the daemon has applied three."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 2)
    kafka.produce([{**table.create({"id": n, "name": "x", "amount": 1}), "partition": 0}
                   for n in range(3)])
    sink.write(pipeline(table, name="shop"), {**pipeline(table, name="empty"),
                                              "topics": [f"^{prefix}-nothing\\."]},
               {**pipeline(table, name="missing"), "topics": [f"{prefix}.db.gone"]},
               database=database, kafka=True, dead_letter={"topic": f"{prefix}.letters"})
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 3, 60, "rows")
    daemon.stop()
    kafka.produce([{**table.create({"id": n, "name": "x", "amount": 1}), "partition": 0}
                   for n in range(3, 5)])
    return table


def test_offsets_lag_and_tables(fed, sink, prefix):
    answer = ask(sink)
    feed = feed_of(answer, fed.topic)
    assert feed["pipeline"] == "shop" and feed["table"] == "public.items"
    assert (feed["records"], feed["lag"], feed["lost"]) == (5, 2, 0)
    first, second = feed["partitions"]
    assert (first["first"], first["end"], first["stored"], first["lag"]) == (0, 5, 3, 2)
    assert first["committed"] in (3, None)
    assert (second["end"], second["lag"]) == (0, 0)
    assert 0 < feed["behind_seconds"] < 600 and first["next_record_at"] <= feed["newest_record_at"]
    assert feed["retention_left_seconds"] > 0
    assert answer["unfed"] == ["empty", "missing"]
    assert answer["missing"] == [{"pipeline": "missing", "topic": f"{prefix}.db.gone"}]


def test_topics_that_no_pipeline_takes(fed, sink, kafka, prefix):
    kafka.create(f"{prefix}.other", 1)
    kafka.create(f"{prefix}.letters", 1)
    kafka.produce([{"topic": f"{prefix}.other", "partition": 0, "key": None, "payload": "{}"}])
    unread = {topic["topic"]: topic for topic in ask(sink)["unread"]}
    assert unread[f"{prefix}.other"] == {"topic": f"{prefix}.other", "partitions": 1, "records": 1,
                                         "bytes_estimated": 2,
                                         "role": None}
    assert unread[f"{prefix}.letters"]["role"] == "dead letters"
    assert fed.topic not in unread and not [name for name in unread if name.startswith("__")]


def test_the_table_is_for_people(fed, sink):
    done = sink.run("topics", "-c", sink.conf)
    assert fed.topic in done.stdout and "public.items" in done.stdout
    assert "pipeline empty: no topic feeds it" in done.stdout
    done = sink.run("topics", "-c", sink.conf, "--partitions", "--pipeline", "shop")
    assert "STORED" in done.stdout and "empty" not in done.stdout
    assert "no pipeline" in sink.run("topics", "-c", sink.conf, "--pipeline", "nobody",
                                     expect=Exit.USAGE).stderr


def test_records_that_went_unapplied_are_told(fed, sink, kafka):
    kafka.delete_records(fed.topic, 0, 4)
    feed = feed_of(ask(sink), fed.topic)
    assert (feed["lost"], feed["lag"]) == (1, 1)
    assert "the offsets 3 to 3 are gone" in sink.run("topics", "-c", sink.conf).stdout


def test_it_changes_nothing(kafka, sink, database, prefix):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    sink.write(pipeline(table), database=database, kafka=True)
    feed = feed_of(ask(sink), table.topic)
    assert feed["partitions"][0]["stored"] is None
    assert not database.exists("ods_sink.offsets")


def test_a_target_that_is_away(kafka, sink, prefix):
    """What Kafka says is told all the same."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.produce([table.create({"id": 1, "name": "x", "amount": 1})])
    sink.write(pipeline(table), kafka=True, targets=[
        {"name": "ods", "type": "postgres",
         "dsn": f"host=127.0.0.1 port={free_port()} dbname=x user=y"}])
    done = sink.run("topics", "-c", sink.conf, "--json", expect=Exit.TARGET)
    assert "refused" in done.stderr
    feed = feed_of(json.loads(done.stdout), table.topic)
    assert (feed["records"], feed["lag"]) == (1, None)


def test_a_broker_that_is_away(sink, database):
    sink.write(pipeline("t"), database=database)
    sink.conf.write_text(sink.conf.read_text() +
                         f'kafka = {{ bootstrap_servers = "127.0.0.1:{free_port()}"; }};\n'
                         if "bootstrap" in sink.conf.read_text() else
                         sink.conf.read_text().replace(
                             "kafka = {", f'kafka = {{ bootstrap_servers = "127.0.0.1:{free_port()}";'))
    began = time.monotonic()
    sink.run("topics", "-c", sink.conf, expect=Exit.SOURCE)
    assert time.monotonic() - began < 60


def test_bytes_are_estimated_by_a_sample(sink, database, kafka, prefix):
    """Exact where all records are looked at; near where they are of one size, whatever their number."""
    few, many = Table("few", prefix=prefix), Table("many", prefix=prefix)
    records = {few: [few.create(row(n)) for n in range(5)],
               many: [many.create(row(n), partition=n % 2) for n in range(1000)]}
    for table in records:
        kafka.create(table.topic, 2)
        kafka.produce(records[table])
    sink.write({**pipeline("t"), "topics": [few.topic, many.topic]}, kafka=True, database=database)
    found = json.loads(sink.run("topics", "-c", sink.conf, "--json").stdout)
    shown = {topic["topic"]: topic for topic in found["topics"]}
    size = {table: sum(len((one["key"] + one["payload"]).encode()) for one in records[table])
            for table in records}
    assert shown[few.topic]["bytes_estimated"] == size[few]
    assert abs(shown[many.topic]["bytes_estimated"] / size[many] - 1) < 0.02
    assert sum(part["bytes_estimated"] for part in shown[many.topic]["partitions"]) == \
        shown[many.topic]["bytes_estimated"]
    text = sink.run("topics", "-c", sink.conf).stdout
    assert "BYTES" in text and "~" in text
