"""Queues under faults, and joins of their tables: the daemon is killed, connections and servers go away,
the broker's standby takes over, messages come again and again. Nothing is lost, nothing counts twice, no row
goes back, and no joined row is stale.

ODS_FAULT_SEED repeats a run's choices, ODS_TEST_AMQP_FAULTS says how many kills it has; a whole run, of which
docs/reliability.md tells, has a hundred (`scripts/test --faults`).
"""

import json
import os
import random
import signal
import statistics
import threading
import time

import psycopg2
import pytest

from chaos.queue_faults import QUEUE_FAULTS
from chaos.world import listens
from conftest import build
from lib.amqp import Broker, text_message
from lib.derived import add_derived, quiet
from lib.records import INT, TEXT, Table, row
from lib.sink import free_port
from lib.size import FULL, size
from lib.stack import ROOT
from lib.toxiproxy import Toxiproxy
from lib.waiting import wait_for

SEED = int(os.environ.get("ODS_FAULT_SEED") or random.randrange(10**9))
WHOLE = os.environ.get("ODS_FAULTS") == "whole"
KILLS = size("AMQP_FAULTS", 1, 100)
PAUSE_S = 0.06 if KILLS == 1 else 0.03  # between what is sent
KEYS, PEOPLE = 20, 7

# A row belongs to a person by a value that each of its changes changes.
DERIVED = [
    {"name": "item_view", "key": ["id"],
     "query": "select i.id, i.amount, p.id as person, p.name from items i join people p on p.id = i.amount % 7",
     "depends": {"items": {"by": ["id"]},
                 "people": {"by": ["id"], "keys": "select i.id from changed c join items i on i.amount % 7 = c.id"}}},
    {"name": "per_person", "key": ["person"],
     "query": "select person, count(*) as items, sum(amount) as amount from item_view group by person",
     "depends": {"item_view": {"by": ["person"]}}},
    {"name": "alone", "key": ["id"],
     "query": "select i.id from items i where not exists (select from people p where p.id = i.amount % 7)",
     "depends": {"items": {"by": ["id"]},
                 "people": {"by": ["id"], "keys": "select i.id from changed c join items i on i.amount % 7 = c.id"}}},
]


class Producer(threading.Thread):
    """Sends until it is told to end: to one queue new rows, to another changes of a few, to a third people
    who come, change and go. A message whose answer has not come is sent again under its id, and so are
    others, at random."""

    def __init__(self, world, choose):
        super().__init__(daemon=True)
        self.world, self.choose = world, choose
        self.appended, self.amounts, self.sent, self.again = 0, [0] * KEYS, [], 0
        self.stopping, self.failed = threading.Event(), None
        self.people, self.versions = {}, 0
        self.plain, self.keyed = Table("lines", key=()), Table("items")
        self.who = Table("people", {"id": INT, "name": TEXT})

    def run(self):
        try:
            self.send([(self.world.keyed, f"k-{key}", self.keyed.create(row(key))["payload"])
                       for key in range(KEYS)])
            while not self.stopping.is_set():
                self.send(self.next())
                time.sleep(PAUSE_S)
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
        messages += [self.person() for _ in range(3)]
        storm = self.choose.sample(self.sent[-600:], min(len(self.sent), self.choose.choice([0, 2, 40])))
        self.again += len(storm)
        self.sent += messages
        return messages + storm

    def person(self):
        number = self.choose.randrange(PEOPLE)
        self.versions += 1
        old, new = self.people.get(number), {"id": number, "name": f"v{self.versions}"}
        if old is None:
            record = self.who.create(new)
        elif self.choose.random() < 0.3:
            record, new = self.who.delete(old), None
        else:
            record = self.who.update(old, new)
        self.people[number] = new
        return self.world.who, f"w-{self.versions}", record["payload"]

    def joined(self):
        """What the tables that are derived must have."""
        rows = [(number, amount, amount % 7) for number, amount in enumerate(self.amounts)]
        view = [(*one, self.people[one[2]]["name"]) for one in rows if self.people.get(one[2])]
        sums = {}
        for _, amount, person, _ in view:
            count, total = sums.get(person, (0, 0))
            sums[person] = count + 1, total + amount
        return {"item_view": view, "per_person": [(who, *sums[who]) for who in sorted(sums)],
                "alone": [(number,) for number, _, person in rows if not self.people.get(person)]}

    def send(self, messages):
        """Until a broker has acknowledged all of them."""
        while True:
            try:
                broker = self.world.broker()
                for queue in self.world.queues:
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
        self.queues = self.plain, self.keyed, self.who = [
            f"{prefix}-{name}" for name in ("plain", "keyed", "who")]
        self.toxiproxy = Toxiproxy(stack)
        self.standby = False
        self.deadline = time.monotonic() + 600
        self.daemon, self.seen, self.brokers = None, {}, {}

    def is_over(self):
        return time.monotonic() > self.deadline

    def broker(self):
        """The one that serves; it keeps a connection for questions."""
        url = self.stack["STANDBY_URL" if self.standby else "ARTEMIS_URL"]
        return self.brokers.setdefault(url, Broker(self.stack, url))

    def write(self):
        through = f"amqp://127.0.0.1:{self.stack['ARTEMIS_PROXY_PORT']}"
        self.sink.http_port = free_port()
        self.sink.write(
            {"name": "queues", "topics": self.queues, "format": "debezium", "target": "ods",
             "lanes": 2, "input": {"type": "amqp"}, "defaults": {"on_delete": "hard"},
             "tables": {"lines": {"key": []}, "items": {"key": ["id"]}, "people": {"key": ["id"]}}},
            targets=[{"name": "ods", "type": "postgres", "dsn": self.database.dsn}],
            amqp=[Broker(self.stack).settings(through, self.stack["STANDBY_URL"], idle_timeout_ms=2000)],
            batch={"max_events": 25}, http={"listen": f"127.0.0.1:{self.sink.http_port}"})
        add_derived(self.sink, DERIVED)

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
        self.database.end_sessions()

    def restart_postgres(self):
        self.database.close()
        os.kill(self.stack.pid("postgres"), signal.SIGQUIT)
        port = int(self.stack["POSTGRES_PORT"])
        wait_for(lambda: not listens(port), 60, "PostgreSQL has let go of its port")
        self.stack.run("up", "postgres")

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

    def nothing_stale(self):
        """In one snapshot, while all is on its way: what differs from the queries is marked."""
        if all(self.database.exists(one["name"]) for one in DERIVED):
            told = self.sink.run("verify", "-c", self.sink.conf, "--derived", "--json", expect=None)
            assert told.returncode == 0, told.stdout + told.stderr

    def recovered(self, before):
        try:
            return self.rows_rise() and self.database.count("lines") > before + 30
        except psycopg2.OperationalError:
            return False  # it starts again

    def drained(self):
        self.rows_rise()
        return all(self.broker().count(queue) == 0 for queue in self.queues) and \
            all(quiet(self.database, one["name"]) for one in DERIVED)


@pytest.fixture
def world(stack, databases, tmp_path, prefix):
    from lib.sink import Setup
    stack.up("postgres", "artemis", "standby", "toxiproxy")
    program = build("asan") if build("asan").exists() and not WHOLE else build("release")
    sink = Setup(tmp_path, program, stack)
    made = World(stack, sink, databases(), prefix, random.Random(f"amqp {SEED}"))
    yield made
    sink.close()
    if made.standby:
        stack.down("artemis", "standby")


def schedule_of(choose):
    """Each kind of fault once at least; a short run has four kinds, each run others."""
    kinds = [name for name, (share, _) in QUEUE_FAULTS.items()
             for _ in range(KILLS if name == "kill_daemon" else max(1, round(KILLS * share / 100)))]
    choose.shuffle(kinds)
    return kinds if FULL or KILLS > 1 else ["fail_over", *[kind for kind in kinds if kind != "fail_over"][:3]]


def keep(result):
    if WHOLE:
        folder = ROOT / "build" / "faults"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "queue.json").write_text(json.dumps(result, indent=1))


def test_kills_storms_and_failover(world, report):
    choose = random.Random(f"amqp faults {SEED}")
    schedule, took = schedule_of(choose), {}
    world.write()
    producer = Producer(world, random.Random(f"amqp load {SEED}"))
    world.daemon = world.sink.daemon()
    producer.start()
    world.daemon.await_that(lambda: world.database.count("lines") > 0, what="the first rows")
    for fault in schedule:
        before = world.database.count("lines")
        getattr(world, fault)()
        ended = time.monotonic()
        wait_for(lambda: world.recovered(before), 90,
                 lambda: f"ODS_FAULT_SEED={SEED}: no more rows after {fault}\n{world.daemon.tail()}")
        took.setdefault(fault, []).append(time.monotonic() - ended)
        world.nothing_stale()
        assert not producer.failed, producer.failed
    producer.stopping.set()
    producer.join(120)
    assert not producer.is_alive() and not producer.failed, producer.failed
    world.daemon.await_that(world.drained, 120, f"all is settled (ODS_FAULT_SEED={SEED})")
    world.daemon.stop()
    text = f"ODS_FAULT_SEED={SEED}: {json.dumps({kind: len(times) for kind, times in sorted(took.items())})}"
    lines = world.database.execute("select count(*), count(distinct id), max(id) from lines")[0]
    assert lines == (producer.appended, producer.appended, producer.appended - 1), text
    assert world.database.execute("select id, amount from items order by id") == list(enumerate(producer.amounts)), text
    for name, rows in producer.joined().items():
        assert world.database.execute(f"select * from {name} order by 1") == rows, (text, name)
    messages = KEYS + producer.appended + sum(producer.amounts) + producer.versions
    keep({"name": "queue", "seed": SEED, "injected": len(schedule), "records": messages,
          "again": producer.again, "rows": sum(map(len, producer.joined().values())),
          "faults": {kind: {"injected": len(times), "median": round(statistics.median(times), 2),
                            "most": round(max(times), 2)} for kind, times in took.items()}})
    report(f"{text}, {messages} messages and {producer.again} of them again; lost 0, twice 0, back 0, "
           "stale 0")
