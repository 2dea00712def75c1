"""A member that leaves at any moment of its joining or of a rebalance: an orderly end, and nobody left
in the group."""

import json
import random
import time

from lib.records import Table, pipeline, row
from lib.sink import Exit
from lib.size import size
from lib.waiting import wait_for
from test_failing_kafka import failing_kafka


def test_ends_at_any_moment_of_joining(sink, database, kafka, prefix):
    """Three lanes of one partition, so that most of them never get one. The moments are spread over
    what joining takes, the first ones before it has begun."""
    dice = random.Random(prefix)
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.produce([table.create(row(1))])
    sink.write(pipeline(table), database=database, kafka=True, lanes=3)
    for _ in range(size("LEAVES", 8, 60)):
        daemon = sink.daemon()
        daemon.await_that(lambda: "starts with" in daemon.log(), what="it hears signals")
        time.sleep(dice.random() * 0.8)
        daemon.stop()
        assert not daemon.gave_up(), daemon.tail()
    kafka.produce([table.create(row(2))])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 2, what="the rows")
    daemon.stop()


def shares(daemon):
    """Partitions of each lane that it reads."""
    lanes = json.loads(daemon.get("/status")[1] or '{"lanes": []}')["lanes"]
    return [[part["partition"] for part in lane["partitions"] if part["state"] == "active"]
            for lane in lanes]


def test_ends_though_partitions_come_while_it_leaves(sink, database, kafka, prefix, tmp_path):
    """On a busy machine a lane may be so late to leave that it is given what another had that has left
    before: the assignment waits for it when it comes to close its consumer."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 16)
    sink.write(pipeline(table), database=database, kafka=True, lanes=4,
               log={"level": "debug"},
               kafka_properties={"heartbeat.interval.ms": "100", "debug": "cgrp"})
    environment = failing_kafka(tmp_path, ODS_LATE_MS=1200, ODS_SLOW_END_MS=60)
    came = 0
    for _ in range(size("LATE_LEAVES", 2, 20)):
        daemon = sink.daemon(env=environment)
        daemon.await_that(lambda: [len(share) for share in shares(daemon)] == [4, 4, 4, 4],
                          what="four partitions each")
        daemon.stop()
        came += daemon.log().split("stopping: ")[1].count("4 partitions assigned")
        assert not daemon.gave_up(), daemon.tail()
    assert came, "a lane that is late is given more"


def test_partitions_that_no_member_has(sink, database, kafka, prefix, tmp_path):
    """The group is settled without them, so that nothing but a lane's own look brings them."""
    table, other = Table(prefix=prefix), Table("other", prefix=prefix)
    kafka.create(table.topic, 3)
    kafka.create(other.topic, 1)
    kafka.produce([table.create(row(1), partition=2)])
    sink.write(pipeline(table), database=database, kafka=True, lanes=2)
    daemon = sink.daemon(env=failing_kafka(tmp_path, ODS_OTHER_TOPIC=other.topic))
    daemon.await_that(lambda: database.count("items") == 1, what="the row")
    assert "shares out 0 of 3 partitions and this lane has none: it joins anew" in daemon.log()
    daemon.stop()


def test_ends_though_librdkafka_does_not(sink, database, kafka, prefix, tmp_path):
    """Its lanes are done, and what is left of them never goes: then the process goes without, in time."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.produce([table.create(row(1))])
    sink.write(pipeline(table), database=database, kafka=True, shutdown_timeout_ms=3000)
    daemon = sink.daemon(env=failing_kafka(tmp_path, ODS_NO_END=1))
    daemon.await_that(lambda: database.count("items") == 1, what="the row")
    daemon.stop(timeout_s=20)
    assert "still not done: ending; nothing is lost" in daemon.log() and not daemon.gave_up()


def test_ends_by_itself_though_librdkafka_does_not(sink, database, kafka, prefix, tmp_path):
    """With the exit code that says why, so that whoever started it starts it again, or not."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.produce([table.create(row(1))])
    sink.write(pipeline(table, on_error="stop"), database=database, kafka=True, shutdown_timeout_ms=3000)
    daemon = sink.daemon(env=failing_kafka(tmp_path, ODS_NO_END=1))
    daemon.await_that(lambda: database.count("items") == 1, what="the row")
    kafka.produce([{**table.create(row(2)), "payload": "no record"}])
    wait_for(lambda: not daemon.running(), 30, daemon.tail)
    assert daemon.process.returncode == Exit.NEGATIVE, daemon.tail()
    assert "still not done: ending; nothing is lost" in daemon.log()


def test_a_static_member_that_ends_stays_one(sink, database, kafka, prefix):
    """It comes back within its session, and no partition has moved."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 4)
    sink.write(pipeline(table), database=database, kafka=True,
               kafka_properties={"group.instance.id": "host-1", "session.timeout.ms": "300000"})
    daemon = sink.daemon()
    daemon.await_that(lambda: [len(share) for share in shares(daemon)] == [2, 2], what="its share")
    before = [sorted(share) for share in shares(daemon)]
    daemon.stop()
    assert not daemon.gave_up(), daemon.tail()
    daemon = sink.daemon()
    daemon.await_that(lambda: [sorted(share) for share in shares(daemon)] == before,
                      what="the same partitions")
    daemon.stop()
    assert " revoked" not in daemon.log().split("stopping: ")[0]
