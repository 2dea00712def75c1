"""What is said of a lane whose group has not told it which partitions it has: that it is joining,
since when and why most likely, and never that others have them; and what many partitions need."""

import json
import signal

import pytest

from lib.records import Table, pipeline, row
from lib.sink import Setup
from lib.size import FULL

MANY = 1001  # partitions: the client is made for so many


def lanes_of(daemon):
    return json.loads(daemon.get("/status")[1] or '{"lanes": []}')["lanes"]


def test_says_that_the_group_does_not_answer(sink, database, kafka, prefix, tmp_path):
    """A member that hangs keeps the second one's answer back until its own session is over."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    sink.write(pipeline(table), database=database, kafka=True, lanes=1,
               kafka_properties={"session.timeout.ms": "60000"})
    other = Setup(tmp_path / "other", sink.binary, sink.stack)
    other.write(pipeline(table), database=database, kafka=True, lanes=1)
    other.conf.write_text(other.conf.read_text().replace(other.group, sink.group))
    hanging = sink.daemon().await_ready()
    hanging.signal(signal.SIGSTOP)
    waiting = other.daemon()
    try:
        waiting.await_that(lambda: "is joining its group since" in str(lanes_of(waiting)), what="joining")
        waiting.await_that(lambda: "no answer from group" in waiting.log(), what="the log says it")
        lane, = lanes_of(waiting)
        assert (lane["state"], lane["level"], lane["joined"]) == ("joining", "warn", False), lane
        assert "a group waits for each member that does not answer" in lane["says"], lane
        told = other.run("status", "-c", other.conf, expect=None).stdout
        assert "is joining its group since" in told and "spare" not in told, told
        hanging.signal(signal.SIGCONT)
        waiting.await_that(lambda: lanes_of(waiting)[0]["state"] in ("spare", "caught up"), what="an answer")
        assert lanes_of(waiting)[0]["joined"]
    finally:
        hanging.signal(signal.SIGCONT)
        hanging.stop()
        other.close()


def test_is_spare_when_the_group_has_said_so(sink, database, kafka, prefix):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    sink.write(pipeline(table), database=database, kafka=True, lanes=2)
    daemon = sink.daemon()
    daemon.await_that(lambda: sorted(lane["state"] for lane in lanes_of(daemon)) ==
                      ["caught up", "spare"], what="one lane has the partition")
    daemon.stop()


@pytest.mark.parametrize("own", [None, "4000"] if FULL else [None])
def test_many_partitions_have_a_longer_session(sink, database, kafka, prefix, own):
    """What the user sets stays as it is. More partitions than are started at once are started all the
    same."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, MANY)
    try:
        kafka.produce([table.create(row(number)) for number in range(100)])
        sink.write(pipeline(table), database=database, kafka=True, lanes=2,
                   kafka_properties={"session.timeout.ms": own,
                                     "topic.metadata.refresh.interval.ms": None})
        daemon = sink.daemon()
        session_s = 4 if own else 10 + 6 * MANY // 1000
        daemon.await_that(lambda: f"{MANY} partitions to share out: a session of {session_s} s, a look "
                          "for topics every 20 s" in daemon.log(), what="a client for so many")
        daemon.await_that(lambda: database.count("items") == 100, 90, "the rows")
        daemon.await_that(lambda: [part["state"] for lane in lanes_of(daemon)
                                   for part in lane["partitions"]] == ["active"] * MANY, 90, "all started")
        daemon.stop()
    finally:
        kafka.delete(table.topic)
