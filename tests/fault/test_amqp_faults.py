"""Queues under faults: the daemon is killed, connections and servers go away, the broker's standby takes
over, messages come again and again. Nothing is lost, nothing counts twice, and no row goes back.

ODS_FAULT_SEED repeats a run's choices, ODS_TEST_AMQP_FAULTS says how many faults it has.
"""

import json
import os
import random
import signal
import threading
import time

import pytest

from conftest import build
from lib.amqp import Broker, text_message
from lib.records import Table, row
from lib.sink import free_port
from lib.size import size
from lib.toxiproxy import Toxiproxy
from lib.waiting import wait_for

SEED = int(os.environ.get("ODS_FAULT_SEED") or random.randrange(10**9))
FAULTS = size("AMQP_FAULTS", 6, 100)
KEYS = 20


class Producer(threading.Thread):
    """Sends until it is told to end: to one queue new rows, to another changes of a few. A message whose
    answer has not come is sent again under its id, and so are others, at random."""

    def __init__(self, world, choose):
        super().__init__(daemon=True)
        self.world, self.choose = world, choose
        self.appended, self.amounts, self.sent, self.again = 0, [0] * KEYS, [], 0
        self.stopping, self.failed = threading.Event(), None
        self.plain, self.keyed = Table("lines", key=()), Table("items")

    def run(self):
        try:
            self.send([(self.world.keyed, f"k-{key}", self.keyed.create(row(key))["payload"])
                       for key in range(KEYS)])
            while not self.stopping.is_set():
                self.send(self.next())
                time.sleep(0.03)
        except Exception as error:  # the test says so
            self.failed = error

    def next(self):
        messages = []
        for _ in range(15):
            messages.append((self.world.plain, f"p-{self.appended}",
                             self.plain.create(row(self.appended))["payload"]))
            self.appended += 1
            key = self.choose.randrange(KEYS)
            before = self.amounts[key]
            self.amounts[key] += 1
            messages.append((self.world.keyed, f"u-{key}-{before}", self.keyed.update(
                row(key, before), row(key, before + 1))["payload"]))
        storm = self.choose.sample(self.sent[-600:], min(len(self.sent), self.choose.choice([0, 2, 40])))
        self.again += len(storm)
        self.sent += messages
        return messages + storm

    def send(self, messages):
        """Until a broker has acknowledged all of them."""
        while True:
            try:
                broker = self.world.broker()
                for queue in (self.world.plain, self.world.keyed):
                    broker.blast_messages(queue, [text_message(body, identity) for name, identity, body
                                                  in messages if name == queue])
                return
            except Exception:
                if self.stopping.is_set() and self.world.is_over():
                    raise
                time.sleep(0.1)


class World:
    def __init__(self, stack, sink, database, prefix, choose):
        self.stack, self.sink, self.database, self.choose = stack, sink, database, choose
        self.plain, self.keyed = f"{prefix}-plain", f"{prefix}-keyed"
        self.toxiproxy = Toxiproxy(stack)
        self.standby = False
        self.deadline = time.monotonic() + 600
        self.daemon, self.seen = None, {}

    def is_over(self):
        return time.monotonic() > self.deadline

    def broker(self):
        return Broker(self.stack, self.stack["STANDBY_URL" if self.standby else "ARTEMIS_URL"])

    def write(self):
        through = f"amqp://127.0.0.1:{self.stack['ARTEMIS_PROXY_PORT']}"
        self.sink.http_port = free_port()
        self.sink.write(
            {"name": "queues", "topics": [self.plain, self.keyed], "format": "debezium", "target": "ods",
             "lanes": 2, "input": {"type": "amqp"}, "defaults": {"on_delete": "hard"},
             "tables": {"lines": {"key": []}, "items": {"key": ["id"]}}},
            targets=[{"name": "ods", "type": "postgres", "dsn": self.database.dsn}],
            amqp=[Broker(self.stack).settings(through, self.stack["STANDBY_URL"], idle_timeout_ms=2000)],
            batch={"max_events": 25}, http={"listen": f"127.0.0.1:{self.sink.http_port}"})

    # The faults.

    def kill_daemon(self):
        self.daemon.kill()
        self.daemon = self.sink.daemon()

    def stop_daemon(self):
        self.daemon.stop()
        self.daemon = self.sink.daemon()

    def freeze_daemon(self):
        self.daemon.signal(signal.SIGSTOP)
        time.sleep(self.choose.uniform(0.2, 3))
        self.daemon.signal(signal.SIGCONT)

    def cut(self):
        """Again and again: what was on its way is delivered again each time."""
        for _ in range(self.choose.randrange(1, 6)):
            self.toxiproxy.enable("artemis", False)
            self.toxiproxy.enable("artemis")
            time.sleep(0.2)

    def end_sessions(self):
        self.database.execute("select pg_terminate_backend(pid) from pg_stat_activity where "
                              "datname = current_database() and pid <> pg_backend_pid()")

    def fail_over(self):
        """The broker that serves is killed, and the other one takes over its queues."""
        if self.standby:
            self.stack.down("artemis", "standby")
            self.stack.up("artemis")
            self.standby = False
            self.stack.up("standby")
            return
        os.kill(self.stack.pid("artemis"), signal.SIGKILL)
        self.standby = True
        wait_for(self.answers, 60, "the standby takes over")

    def answers(self):
        try:
            return self.broker().count(self.plain) is not None
        except Exception:
            return False

    # What must hold.

    def rows_rise(self):
        if self.database.exists("items"):
            for key, amount in self.database.execute("select id, amount from items"):
                assert amount >= self.seen.get(key, 0), f"row {key} went back to {amount}"
                self.seen[key] = amount
        return True

    def drained(self):
        self.rows_rise()
        return self.broker().count(self.plain) == 0 and self.broker().count(self.keyed) == 0


@pytest.fixture
def world(stack, databases, tmp_path, prefix):
    from lib.sink import Setup
    stack.up("postgres", "artemis", "standby", "toxiproxy")
    program = build("asan") if build("asan").exists() else build("release")
    sink = Setup(tmp_path, program, stack)
    made = World(stack, sink, databases(), prefix, random.Random(f"amqp {SEED}"))
    yield made
    sink.close()
    if made.standby:
        stack.down("artemis", "standby")


def test_kills_storms_and_failover(world, report):
    choose = random.Random(f"amqp faults {SEED}")
    kinds = ["kill_daemon"] * 3 + ["cut"] * 2 + ["stop_daemon", "freeze_daemon", "end_sessions"]
    schedule = choose.choices(kinds, k=FAULTS - 1)
    schedule[FAULTS // 2:FAULTS // 2] = ["fail_over"]
    if FAULTS >= 50:
        schedule[::20] = ["fail_over"] * len(schedule[::20])
    world.write()
    producer = Producer(world, random.Random(f"amqp load {SEED}"))
    world.daemon = world.sink.daemon()
    producer.start()
    world.daemon.await_that(lambda: world.database.count("lines") > 0, what="the first rows")
    for fault in schedule:
        before = world.database.count("lines")
        getattr(world, fault)()
        wait_for(lambda: world.rows_rise() and world.database.count("lines") > before + 30, 90,
                 lambda: f"ODS_FAULT_SEED={SEED}: no more rows after {fault}\n{world.daemon.tail()}")
        assert not producer.failed, producer.failed
    producer.stopping.set()
    producer.join(120)
    assert not producer.is_alive() and not producer.failed, producer.failed
    world.daemon.await_that(world.drained, 120, f"all is settled (ODS_FAULT_SEED={SEED})")
    world.daemon.stop()
    text = f"ODS_FAULT_SEED={SEED}: {json.dumps({kind: schedule.count(kind) for kind in sorted(set(schedule))})}"
    lines = world.database.execute("select count(*), count(distinct id), max(id) from lines")[0]
    assert lines == (producer.appended, producer.appended, producer.appended - 1), text
    assert world.database.execute("select id, amount from items order by id") == list(enumerate(producer.amounts)), text
    report(f"{text}, {producer.appended + sum(producer.amounts)} messages and {producer.again} of them "
           "again; lost 0, twice 0, back 0")
