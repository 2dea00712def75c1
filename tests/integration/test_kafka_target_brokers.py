"""The Kafka target and its brokers: what `check --connect` finds there, and brokers that are away."""

import json
import time

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from lib.committed import read_committed
from lib.records import pipeline, row
from lib.secure import PASSWORD, USER, Certificates, SecureKafka, run
from lib.sink import Exit
from lib.toxiproxy import Toxiproxy

KIB = 1024


@pytest.fixture(scope="module")
def secure(stack, tmp_path_factory):
    stack.up("kafka")
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    broker = SecureKafka(certificates, stack)
    broker.ca = certificates.path("ca.crt")
    yield broker
    broker.close()


def target(topic, **settings):
    return [{"name": "ods", "type": "kafka", "topic": topic, **settings}]


def deny(broker, operation, *of):
    run(*broker.java, "kafka.admin.AclCommand", "--bootstrap-server", broker.bootstrap, "--add",
        "--deny-principal", f"User:{USER}", "--operation", operation, *of)


def test_what_is_missing_there(sink, kafka, table, secure, prefix):
    """A topic that nobody makes, and rights, are findings; the daemon waits for the topic."""
    topic = f"{prefix}-later"
    sink.write(pipeline(table), kafka=True, targets=target(topic, brokers=secure.bootstrap))
    kafka.produce([table.create(row(1))])
    for _ in range(2):
        said = sink.check("--connect", expect=Exit.TARGET).stdout
        assert f"topic {topic} is not there: create it, or set create_topics" in said, said
        assert "waits for it" in said and "ods: good" not in said
    daemon = sink.daemon()
    daemon.await_that(lambda: "create the topic" in daemon.get("/status")[1], what="the reason")
    admin = AdminClient({"bootstrap.servers": secure.bootstrap})
    for made in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        made.result(20)
    daemon.await_that(lambda: read_committed(secure.bootstrap, topic), what="the record")
    daemon.stop()
    sink.check("--connect")

    signed = {"brokers": f"localhost:{secure.ports['sasl']}", "properties": {
        "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": USER,
        "sasl.password": PASSWORD, "ssl.ca.location": str(secure.ca)}}
    sink.write(pipeline(table), kafka=True, targets=target(topic, **signed))
    sink.check("--connect")
    deny(secure, "Describe", "--topic", topic)
    said = sink.check("--connect", expect=Exit.TARGET).stdout
    assert f"topic {topic}" in said and "grant Write and Describe on the topic" in said, said
    made = f"{prefix}-made"
    sink.write(pipeline(table), kafka=True, targets=target(made, create_topics=True, **signed))
    assert "it is created with the first change" in sink.check("--connect").stdout
    deny(secure, "Create", "--cluster", "--topic", made)
    said = sink.check("--connect", expect=Exit.TARGET).stdout
    assert f"topic {made}" in said and "uthoriz" in said, said
    assert made not in admin.list_topics(timeout=20).topics


@pytest.mark.parametrize("statistics_ms", [15000, 50])
def test_another_cluster_that_is_away_is_told_of(sink, kafka, table, prefix, stack, statistics_ms):
    """Long before its records' time is over; what waits is written when it is back. Whatever else the client
    has to tell meanwhile: that there is less of it is not that brokers are back."""
    topic = kafka.create(f"{prefix}-out", 1)
    toxiproxy = Toxiproxy(stack)
    sink.write(pipeline(table), kafka=True, targets=target(
        topic, brokers=stack["KAFKA_PROXY_BOOTSTRAP"], schemas=False,
        properties={"statistics.interval.ms": str(statistics_ms)}))
    daemon = sink.daemon().await_ready()
    kafka.produce([table.create(row(1))])
    daemon.await_that(lambda: len(read_committed(kafka.bootstrap, topic)) == 1, what="a record")
    toxiproxy.enable("kafka", False)
    try:
        time.sleep(10 * statistics_ms / 1000 if statistics_ms < 1000 else 0)  # they stand behind the news
        kafka.produce([table.create(row(2))])

        def told():
            return any("broker" in (lane["last_error"] or "") and not lane["target_reachable"] and
                       lane["kafka_reachable"] for lane in
                       json.loads(daemon.get("/status")[1])["lanes"])

        # Its records are given up after 30 s, which is said in other words.
        daemon.await_that(told, 25, what=lambda: daemon.get("/status")[1])
        tries = daemon.metric("ods_sink_retries_total")
        daemon.await_that(lambda: daemon.metric("ods_sink_retries_total") > tries, what="a try")
    finally:
        toxiproxy.enable("kafka")
    daemon.await_that(lambda: {json.loads(record.value)["after"]["id"] for record in
                               read_committed(kafka.bootstrap, topic)} == {1, 2}, what="both")
    assert "Message timed out" not in daemon.log()
    daemon.stop()


def test_what_writers_hold_is_in_the_ceiling(sink, kafka, table, prefix):
    """Two writers at the source's cluster, one elsewhere, and values under way."""
    found = {}
    for name, settings in (("own", {}), ("other", {"brokers": "127.0.0.1:1"}),
                           ("large", {"max_record_bytes": 50 * KIB * KIB})):
        sink.write(pipeline(table), kafka=True, lanes=2, targets=target(f"{prefix}-out", **settings))
        most = json.loads(sink.check("--json").stdout)["most_bytes"]
        sink.write(pipeline(table), kafka=True, lanes=2, targets=[{"name": "ods", "type": "stdout"}])
        found[name] = (most - json.loads(sink.check("--json").stdout)["most_bytes"]) // KIB // KIB
    assert found == {"own": 2 * (2 * 32 + 16), "other": 2 * (32 + 16), "large": 2 * (2 * 100 + 16)}
    sink.write(pipeline(table), kafka=True, targets=target(f"{prefix}-out"))
    assert f"{80 * KIB} KiB that the target takes to write them" in sink.check().stdout
