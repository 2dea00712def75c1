"""Being a member: before there is a topic, with a name of its own, and gone at once."""

import json
import random
import signal
import threading
import time

import pytest
from lib.records import Table, pipeline, row


def lanes(daemon):
    return json.loads(daemon.get("/status")[1] or '{"lanes": []}')["lanes"]


def test_ready_before_there_is_a_topic(sink, database, kafka, prefix):
    """A daemon may well be there first: it is ready, and says what it waits for."""
    table = Table(prefix=prefix)
    sink.write(pipeline(f"^{prefix}\\..*"), database=database, kafka=True)
    daemon = sink.daemon().await_ready()
    assert daemon.get("/readyz")[1].splitlines() == [
        "ready", *(f"pipeline items lane {lane} waits for topics: none matches yet"
                   for lane in (0, 1))]
    assert {lane["state"] for lane in lanes(daemon)} == {"waiting for topics"}
    assert 'state="waiting for topics"} 1' in daemon.get("/metrics")[1]
    assert "no topic matches" in daemon.log()
    kafka.create(table.topic, 2)
    kafka.produce([table.create(row(number), partition=number % 2) for number in range(10)])
    daemon.await_that(lambda: database.count("items") == 10, what="the rows")
    daemon.await_that(lambda: daemon.get("/readyz") == (200, "ready\n"), what="nothing to wait for")
    daemon.stop()


def test_static_members(sink, database, kafka, prefix):
    """A daemon that is killed and started again within the session, here of five minutes, keeps its
    partitions: its group sees no other member and no rebalance."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 4)
    sink.write(pipeline(table), database=database, kafka=True,
               kafka_properties={"group.instance.id": "host-1", "session.timeout.ms": "300000"})
    daemon = sink.daemon()
    daemon.await_that(lambda: [len(lane["partitions"]) for lane in lanes(daemon)] == [2, 2],
                      what="two partitions each")
    before = [{part["partition"] for part in lane["partitions"]} for lane in lanes(daemon)]
    daemon.signal(signal.SIGKILL)
    daemon.process.wait()
    kafka.produce([table.create(row(number), partition=number % 4) for number in range(8)])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 8, what="the rows")
    daemon.await_that(lambda: [len(lane["partitions"]) for lane in lanes(daemon)] == [2, 2],
                      what="two partitions each")
    assert [{part["partition"] for part in lane["partitions"]} for lane in lanes(daemon)] == before
    assert " revoked" not in daemon.log() and " lost" not in daemon.log()
    daemon.stop()


def test_lanes_without_partitions_leave_the_group_too(sink, database, kafka, prefix):
    """One partition, three lanes. An orderly end leaves nobody behind."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.produce([table.create(row(1))])
    sink.write(pipeline(table), database=database, kafka=True, lanes=3)
    daemon = sink.daemon()
    daemon.await_that(lambda: all(lane["joined"] for lane in lanes(daemon)) and
                      database.count("items") == 1, what="all are members")
    time.sleep(2)  # the rounds of joining are over
    daemon.stop()
    sink.run("reset", "-c", sink.conf, "--topic", table.topic, "--to", "earliest")
    assert list(database.offsets().values()) == [0]


@pytest.mark.parametrize("turn", range(6))
def test_topics_appear_while_lanes_join(sink, database, kafka, prefix, turn):
    """Each new topic is one more rebalance, and meets another moment of the one before."""
    dice = random.Random(turn)
    sizes = [dice.choice([1, 4]) for _ in range(6)]
    sink.write(pipeline(f"^{prefix}\\..*"), database=database, kafka=True)

    def appear():
        for number, size in enumerate(sizes):
            kafka.create(f"{prefix}.shop.t{number}", size)
            time.sleep(dice.random() / 2)

    maker = threading.Thread(target=appear)
    maker.start()
    time.sleep(dice.random() * 2)
    daemon = sink.daemon()
    maker.join()

    def active():
        return sum(part["state"] == "active" for lane in lanes(daemon)
                   for part in lane["partitions"])

    daemon.await_that(lambda: active() == sum(sizes), timeout_s=40,
                      what=lambda: f"{active()} of {sum(sizes)} partitions are active")
    daemon.stop()
