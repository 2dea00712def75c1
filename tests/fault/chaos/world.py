"""What a fault may lay hands on: the servers, the ods-sink processes, the load; and the clock that
measures how long it takes to recover."""

import os
import re
import signal
import socket
import time

import psycopg2

from lib.records import pipeline
from lib.sink import Setup
from lib.toxiproxy import Toxiproxy
from lib.waiting import wait_for

from .compare import compare
from .load import Load
from .workload import TABLES, Workload

# A member that does not answer is missed soon, and an outage is asked about often.
SESSION_TIMEOUT_MS = 2000
KAFKA = {"session.timeout.ms": str(SESSION_TIMEOUT_MS), "heartbeat.interval.ms": "300",
         "reconnect.backoff.max.ms": "500", "socket.timeout.ms": "10000",
         "topic.metadata.refresh.interval.ms": "1000"}
LOCK_TIMEOUT_MS = 1500
PATIENCE_S = 180
AT_STRIKE = 60  # records on their way when a fault strikes


class Stuck(Exception):
    """It fails at the same record again and again: nothing but skipping it by hand would help."""


def is_there(goal, stands):
    """Has the target what Kafka had (Load.reached())? Each partition counts, not their sum: one that stands still would
    be made up for by the others."""
    return all(stands.get(place, 0) >= end for place, end in goal.items())


class Observer:
    """Looks into the target as superuser and over the socket: no fault but a server that is down
    gets into its way."""

    def __init__(self, stack, name):
        self.stack, self.name = stack, name
        self._connection = None

    def connect(self, dbname=None):
        connection = psycopg2.connect(
            host=self.stack["POSTGRES_SOCKET_DIR"], port=self.stack["POSTGRES_PORT"],
            user="postgres", dbname=dbname or self.name,
            options="-c default_transaction_read_only=off -c lock_timeout=0")
        connection.autocommit = True
        return connection

    def query(self, sql, *parameters):
        """Rows; a server that went away is asked on a new connection the next time."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self.connect()
            with self._connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else None
        except psycopg2.OperationalError:
            self.close()
            raise

    def close(self):
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def load_pipeline(prefix, **settings):
    """What moves the workload's tables."""
    return pipeline(f"^{prefix}\\.shop\\..*", name="load",
                    defaults={"on_delete": "hard", "keyless": "append", "cdc_operation": "off",
                              "cdc_timestamp": "off"},
                    tables={"items": {"on_delete": "soft", "cdc_operation": "cdc_operation",
                                      "cdc_timestamp": "cdc_timestamp"},
                            "accounts": {"key": ["code"]}}, **settings)


class Member:
    """One ods-sink process and its configuration; started again, it is another one."""

    def __init__(self, world, number):
        self.setup = Setup(world.folder / f"member-{number}", world.binary, world.stack)
        self.setup.folder.mkdir(parents=True, exist_ok=True)
        self.world, self.number, self.daemon = world, number, None
        self.configure()

    def configure(self):
        """What the world says now; counts at the next start."""
        world, number = self.world, self.number
        self.setup.write(
            world.pipeline(),
            targets=[{"name": "ods", **world.target(number)}],
            kafka=True, kafka_properties=world.properties(number), lanes=2,
            bootstrap=world.stack["KAFKA_PROXY_BOOTSTRAP"] if world.proxied else None,
            batch={"max_events": 500}, dead_letter={"topic": world.letter_topic}, **world.settings())

    def start(self, env=None):
        self.daemon = self.setup.daemon(env=env)

    def running(self):
        return self.daemon is not None and self.daemon.running()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class World:
    letters_tell = True  # dead letters say where they come from and why
    workload_class, load_class = Workload, Load

    def __init__(self, stack, kafka, database, binary, folder, prefix, seed, proxied, rate,
                 env=None, **workload):
        self.stack, self.kafka, self.database, self.binary = stack, kafka, database, binary
        self.folder, self.prefix, self.seed = folder, prefix, seed
        self.proxied, self.env = proxied, env or {}
        self.group = f"faults-{prefix}"
        self.letter_topic = f"{prefix}-letters"
        self.toxiproxy = Toxiproxy(stack) if proxied else None
        self.workload = self.workload_class(prefix, seed, **workload)
        self.observer = Observer(stack, database.name) if database else None
        self.load = self.load_class(self.workload, stack["KAFKA_BOOTSTRAP"], rate)
        self.members = []
        self.in_flight = []      # records that Kafka had and the target had not, at each strike
        self.counted = {}        # what processes told before they ended: metric -> sum
        self.hangover = []       # what to undo at the end, whatever happens

    def prepare(self):
        for topic, partitions in self.workload.topics.items():
            self.kafka.create(topic, partitions)
        self.kafka.create(self.letter_topic, 1)
        self.database.execute(TABLES)
        self.database.close()

    def target(self, number):
        """What a member's configuration says of its target."""
        port = self.stack["POSTGRES_PROXY_PORT" if self.proxied else "POSTGRES_PORT"]
        dsn = re.sub(r"port=\d+", f"port={port}", self.database.dsn)
        return {"type": "postgres", "dsn": f"{dsn} application_name=member-{number}",
                "lock_timeout_ms": LOCK_TIMEOUT_MS, "idle_in_transaction_timeout_ms": 15_000}

    def pipeline(self):
        return load_pipeline(self.prefix, group_id=self.group)

    def properties(self, number):
        """Of a member's Kafka client."""
        return KAFKA

    def settings(self):
        """More of ods-sink.conf, by name."""
        return {}

    # Processes.

    def member(self, number=0):
        while len(self.members) <= number:
            self.members.append(Member(self, len(self.members)))
        return self.members[number]

    def start(self, number=0, env=None):
        self.member(number).start({**self.env, **(env or {})})
        return self.member(number)

    def stop(self, number):
        self.collect(self.member(number))
        self.member(number).daemon.stop(timeout_s=40)

    def collect(self, member):
        """Counters die with their process."""
        page = member.daemon.get("/metrics")[1] if member.running() else ""
        for name in ("batches_fenced_total", "retries_total", "batches_abandoned_total"):
            for value in re.findall(rf"^ods_sink_{name}{{.*}} (\d+)$", page, re.M):
                self.counted[name] = self.counted.get(name, 0) + int(value)

    # Where it stands.

    def stands(self, observer=None):
        """Of which records of each partition the target has the effect; None while it cannot be
        asked. Another thread asks by its own observer."""
        try:
            return {(topic, partition): offset for topic, partition, offset in (observer or self.observer).query(
                "select topic, partition, next_offset from ods_sink.offsets "
                "where consumer_group = %s", self.group)}
        except psycopg2.errors.UndefinedTable:
            return {}
        except psycopg2.Error:
            return None

    def compare(self, letters):
        """Everything that the target holds with the reference."""
        return compare(self.workload, self.observer.query, letters, told=self.letters_tell)

    def applied(self):
        stands = self.stands()
        return None if stands is None else sum(stands.values())

    def await_that(self, condition, what, timeout_s=PATIENCE_S):
        """No process may end by itself meanwhile."""
        def asked():
            for member in self.members:
                if member.daemon and not member.running() and not member.daemon.ended:
                    raise AssertionError(f"a process ended with {member.daemon.process.returncode}"
                                         f", waiting for: {what}\n{member.daemon.tail()}")
            return condition()

        return wait_for(asked, timeout_s, lambda: f"{what}\n{self.describe()}", interval_s=0.02)

    def describe(self):
        tails = [member.daemon.tail(15) for member in self.members if member.daemon]
        return f"{self.applied()} applied of {self.load.acknowledged}\n" + "\n--\n".join(tails)

    def await_progress(self, records=1, timeout_s=PATIENCE_S):
        before = self.applied() or 0
        self.await_that(lambda: (self.applied() or 0) >= before + records, "progress", timeout_s)

    def await_applied(self, goal, what="everything applied", timeout_s=PATIENCE_S):
        """goal: Load.reached() of some moment."""
        self.await_that(lambda: is_there(goal, self.stands() or {}), what, timeout_s)

    def strike(self):
        """The moment of a fault: records are on their way, more than a batch of them if the load
        allows it."""
        self.load.burst()
        until = time.monotonic() + 2
        most = 0
        while time.monotonic() < until:
            applied = self.applied()
            if applied is None:
                break
            most = self.load.acknowledged - applied
            if most >= AT_STRIKE:
                break
        self.in_flight.append(max(most, 0))

    # Servers.

    def kill_server(self, part):
        os.kill(self.stack.pid(part), signal.SIGKILL)
        port = int(self.stack[f"{part.upper()}_PORT"])
        wait_for(lambda: not listens(port), 60, f"{part} has let go of its port")

    def start_server(self, part):
        self.stack.run("up", part)

    def undo_all(self):
        for undo in reversed(self.hangover):
            try:
                undo()
            except Exception as error:  # noqa: BLE001: the others have their turn too
                print(f"could not be undone: {error}", flush=True)
        self.hangover.clear()

    def close(self):
        self.load.give_up()
        self.undo_all()
        for member in self.members:
            member.setup.close()
        if self.observer:
            self.observer.close()
