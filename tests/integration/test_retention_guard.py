"""A target that is away while Kafka's retention runs: the daemon says what goes before it is applied."""

import json
import time

import pytest
from lib.records import Table, pipeline


def retention(daemon):
    return json.loads(daemon.get("/status")[1] or "{}").get("retention")


@pytest.fixture
def stalled(kafka, sink, prefix, database):
    """Applied once, so that the target's offset is known; then its table is locked away."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1, retention_ms=3600_000)
    kafka.produce([table.create({"id": 0, "name": "x", "amount": 1})])
    sink.write(pipeline(table, name="shop"), database=database, kafka=True, lanes=1)
    sink.conf.write_text(sink.conf.read_text().replace(
        "kafka = {", "kafka = { retention_check_ms = 300;", 1))
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 1, 60, "a row")
    holder = database.connect()
    holder.cursor().execute("begin; lock table items in access exclusive mode")
    old = int(time.time() * 1000) - 58 * 60_000
    kafka.produce([{**table.create({"id": n, "name": "x", "amount": 1}), "produced_ms": old}
                   for n in range(1, 4)])
    yield table, daemon, holder
    holder.close()


def test_what_waits_and_what_goes(stalled, kafka, sink, database):
    table, daemon, holder = stalled
    daemon.await_that(lambda: retention(daemon), 60, "the guard")
    (one,) = retention(daemon)
    assert (one["topic"], one["partition"], one["applied"]) == (table.topic, 0, 1)
    assert (one["first"], one["lost"]) == (0, 0)
    assert 0 < one["retention_left_seconds"] <= 120
    assert 0 < daemon.metric("ods_sink_partition_retention_left_seconds") <= 120
    assert daemon.metric("ods_sink_partition_records_lost") == 0
    daemon.await_that(lambda: "retention may take records" in daemon.log(), 30, "a warning")
    said = sink.run("status", "--url", f"http://127.0.0.1:{sink.http_port}", expect=None).stdout
    assert "retention may take records that wait in 1 min" in said

    kafka.delete_records(table.topic, 0, 3)
    daemon.await_that(lambda: daemon.metric("ods_sink_partition_records_lost") == 2, 60, "the loss")
    daemon.await_that(lambda: "has taken the offsets 1 to 2" in daemon.log(), 30, "an error")
    assert daemon.log().count("retention may take records") == 1  # once, not at every look
    said = sink.run("status", "--url", f"http://127.0.0.1:{sink.http_port}", expect=None).stdout
    assert "has taken 2 offsets from 1 on" in said

    holder.close()
    daemon.await_that(lambda: database.count("items") == 4, 60, "the rows, which the lane had read")
    daemon.await_that(lambda: retention(daemon) == [], 60, "nothing waits")
    daemon.stop()


def test_it_can_be_turned_off(stalled, sink):
    table, daemon, holder = stalled
    daemon.stop(expect=None)
    sink.conf.write_text(sink.conf.read_text().replace("retention_check_ms = 300", "retention_check_ms = 0"))
    daemon = sink.daemon()
    daemon.await_that(lambda: daemon.get("/status")[0] == 200, 30, "the page")
    assert retention(daemon) == []
    assert daemon.metric("ods_sink_partition_records_lost") is None
    daemon.stop(expect=None)
