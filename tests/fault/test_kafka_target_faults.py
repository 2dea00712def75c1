"""The Kafka target under kills, stops and rebalances: who reads committed records counts each of them
once, in the order of its key."""

import json
import os
import random
import signal
import threading
import time

from lib.committed import read_committed
from lib.records import Table, pipeline, row
from lib.size import size
from lib.waiting import wait_for

PARTITIONS = 4
KEYS = 40
AT_ONCE = size("AT_ONCE", 8, 20)  # changes, each hundredth of a second
KILLS, STOPS = size("KAFKA_KILLS", 12, 50), size("KAFKA_STOPS", 2, 6)


class Load(threading.Thread):
    """Numbered changes of a few keys, as they come, until it is ended."""

    def __init__(self, kafka, table):
        super().__init__(daemon=True)
        self.kafka, self.table = kafka, table
        self.over, self.count, self.failure = threading.Event(), 0, None

    def run(self):
        try:
            while not self.over.wait(0.01):
                rows = [row(number % KEYS, number) for number in range(self.count, self.count + AT_ONCE)]
                self.kafka.produce([self.table.create(each, partition=each["id"] % PARTITIONS)
                                    for each in rows])
                self.count += len(rows)
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure

    def end(self):
        self.over.set()
        self.join()
        assert not self.failure, self.failure


def rows_of(kafka, topic):
    """What a reader of committed records sees: (partition, row) of each."""
    return [(record.partition, json.loads(record.value)["after"])
            for record in read_committed(kafka.bootstrap, topic)]


def check_once(rows, count):
    """Their amounts are numbered, and each stands there once, in the order of its key."""
    seen = {}
    for partition, after in rows:
        seen.setdefault((partition, after["id"]), []).append(after["amount"])
    numbers = sorted(number for each in seen.values() for number in each)
    twice = [number for number, other in zip(numbers, numbers[1:]) if number == other]
    assert not twice, f"{len(twice)} records are there twice, {twice[:5]}"
    assert numbers == list(range(count)), f"{count - len(numbers)} of {count} records are missing"
    assert all(each == sorted(each) for each in seen.values()), "a key's order is lost"
    assert len(seen) == KEYS, "a key is in several partitions"


def count_of(kafka, topic):
    return len(rows_of(kafka, topic))


def daemons_of(sink, number):
    """Processes of one group, which share its partitions."""
    return [sink.daemon() for _ in range(number)]


def prepare(sink, kafka, table, prefix, batch=None, **settings):
    topic = kafka.create(f"{prefix}-out", PARTITIONS)
    sink.write(pipeline(table, lanes=2), kafka=True, http={"listen": ""}, batch=batch or {}, kafka_properties={
        "session.timeout.ms": "1000", "heartbeat.interval.ms": "200"}, targets=[
        {"name": "ods", "type": "kafka", "topic": topic, "schemas": False, **settings}])
    return topic


def test_many_kills(sink, kafka, table, prefix, report):
    """Two processes of a group, of which one after the other is killed at any moment."""
    topic = prepare(sink, kafka, table, prefix)
    load = Load(kafka, table)
    load.start()
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    daemons = daemons_of(sink, 2)
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 1.6))
            victim = chance.randrange(2)
            daemons[victim].kill()
            daemons[victim] = sink.daemon()
    finally:
        load.end()
    wait_for(lambda: count_of(kafka, topic) >= load.count, 120, lambda: daemons[0].tail())
    for daemon in daemons:
        daemon.stop()
    check_once(rows_of(kafka, topic), load.count)
    read = len(read_committed(kafka.bootstrap, topic, isolation="read_uncommitted"))
    report(f"{load.count} records through {KILLS} kills, each once; {read - load.count} in transactions "
           f"that were taken back (seed {seed})")


def test_a_zombie_commits_nothing(sink, kafka, table, prefix, report):
    """A process is stopped for longer than its group waits for it, and goes on when another one has its
    partitions."""
    topic = prepare(sink, kafka, table, prefix)
    load = Load(kafka, table)
    load.start()
    daemons = daemons_of(sink, 2)
    try:
        for turn in range(STOPS):
            time.sleep(1.5)
            stopped = daemons[turn % 2]
            os.kill(stopped.pid, signal.SIGSTOP)
            time.sleep(4.5)
            os.kill(stopped.pid, signal.SIGCONT)
    finally:
        load.end()
    wait_for(lambda: count_of(kafka, topic) >= load.count, 120, lambda: daemons[0].tail())
    for daemon in daemons:
        daemon.stop()
    check_once(rows_of(kafka, topic), load.count)
    report(f"{load.count} records around {STOPS} stops of 4.5 s, each once")


def test_members_come_and_go(sink, kafka, table, prefix):
    """Each change of the group moves partitions between lanes that work."""
    topic = prepare(sink, kafka, table, prefix)
    load = Load(kafka, table)
    load.start()
    daemons = daemons_of(sink, 1)
    try:
        for _ in range(size("KAFKA_MEMBERS", 2, 4)):
            time.sleep(1)
            daemons += daemons_of(sink, 1)
            time.sleep(1)
            daemons.pop(0).stop()
    finally:
        load.end()
    wait_for(lambda: count_of(kafka, topic) >= load.count, 120, lambda: daemons[0].tail())
    daemons[0].stop()
    check_once(rows_of(kafka, topic), load.count)


def test_brokers_away(sink, kafka, table, prefix, stack, report):
    """Kafka is ended and begun again in the middle of transactions, of which there are many."""
    topic = prepare(sink, kafka, table, prefix, batch={"max_events": 50})
    daemon = sink.daemon()
    sent, at = 0, []
    for _ in range(size("BROKER_KILLS", 1, 3)):
        rows = [row(number % KEYS, number) for number in range(sent, sent + 3000)]
        kafka.produce([table.create(each, partition=each["id"] % PARTITIONS) for each in rows])
        at.append(wait_for(lambda: max(count_of(kafka, topic) - sent, 0), 60, daemon.tail))
        os.kill(stack.pid("kafka"), signal.SIGKILL)
        sent += len(rows)
        time.sleep(1)
        stack.run("up", "kafka")
    wait_for(lambda: count_of(kafka, topic) >= sent, 120, daemon.tail)
    daemon.stop()
    check_once(rows_of(kafka, topic), sent)
    report(f"killed when {at} of 3000 records were seen each time")
