"""High availability: drills on real servers under a random load, each measured. See scripts/ha."""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import ha_report  # noqa: E402
from chaos import bad, driver  # noqa: E402
from chaos.world import (KAFKA, LOCK_TIMEOUT_MS, PATIENCE_S, SESSION_TIMEOUT_MS,  # noqa: E402
                         Observer, World, load_pipeline, is_there)
from lib.brokers import Brokers  # noqa: E402
from lib.kafka import Kafka  # noqa: E402
from lib.postgres import administer, create_database  # noqa: E402
from lib.records import Table, pipeline, row  # noqa: E402
from lib.sink import Exit, Setup  # noqa: E402
from lib.stack import ROOT, Stack  # noqa: E402
from lib.standby import Disk, Pair, Reachable, Server  # noqa: E402
from lib.toxiproxy import Toxiproxy  # noqa: E402
from lib.waiting import wait_for  # noqa: E402

DRILLS = {}


def drill(name, what, brokers=0, previous=False):
    """brokers: how many of its own it has; 0: that of the stack. previous: it needs an earlier program."""
    def register(function):
        DRILLS[name] = Drill(name, what, brokers, previous, function)
        return function

    return register


@dataclass
class Drill:
    name: str
    what: str
    brokers: int
    previous: bool
    function: object


class View:
    """A stack of which some settings are others."""

    def __init__(self, stack, settings):
        self.stack, self.settings = stack, settings

    def __getitem__(self, name):
        return self.settings[name] if name in self.settings else self.stack[name]

    def __getattr__(self, name):
        return getattr(self.stack, name)


class PairObserver(Observer):
    """Looks at whichever server of a pair is in charge."""

    def __init__(self, pair):
        super().__init__(None, "ods")
        self.pair, self._at = pair, None

    def connect(self, dbname=None):
        return self.pair.serving.connect(dbname or self.name)

    def query(self, sql, *parameters):
        if self._at is not self.pair.serving:
            self.close()
            self._at = self.pair.serving
        return super().query(sql, *parameters)


class HaWorld(World):
    """`pair`: a target of its own, which may have one server alone. `stays`: members are static."""

    def __init__(self, run, name, pair=None, synchronous=False, stays=False, **settings):
        self.pair, self.synchronous, self.stays = pair, synchronous, stays
        stack, kafka = run.view(), run.kafka()
        run.stack.up("postgres")
        database = Reachable(pair) if pair else create_database(run.stack, f"ha_{run.number()}")
        super().__init__(stack, kafka, database, run.binary, run.folder / name, f"ha-{name}", run.seed,
                         **{"proxied": False, "rate": run.rate, **settings})
        if pair:
            self.observer = PairObserver(pair)

    def target(self, number):
        if not self.pair:
            return super().target(number)
        return {"type": "postgres", "dsn": f"{self.pair.dsn} application_name=member-{number}",
                "lock_timeout_ms": LOCK_TIMEOUT_MS, "synchronous_commit": self.synchronous}

    def properties(self, number):
        if not self.stays:
            return KAFKA
        return {**KAFKA, "group.instance.id": f"member-{number}", "session.timeout.ms": "10000"}


class Waiting:
    """Since when the oldest record waits that Kafka has and the target has not."""

    def __init__(self):
        self.ends = []  # (moment, how far each partition went then)

    def age(self, now, reached, stands):
        """reached, stands: partition -> offset, in Kafka and in the target."""
        self.ends.append((now, reached))
        while len(self.ends) > 1 and is_there(self.ends[0][1], stands):
            self.ends.pop(0)
        since, first = self.ends[0]
        return 0.0 if is_there(first, stands) else now - since


class Ages(threading.Thread):
    """How old the oldest record was that Kafka had and the target had not, all the time."""

    def __init__(self, world):
        super().__init__(name="ages", daemon=True)
        self.world, self.ending = world, threading.Event()
        self.samples = []  # (moment, age)
        self.observer = PairObserver(world.pair) if world.pair else Observer(
            world.stack, world.database.name)

    def run(self):
        waiting = Waiting()
        while not self.ending.wait(0.03):
            stands = self.world.stands(self.observer)
            if stands is not None:
                now = time.monotonic()
                self.samples.append((now, waiting.age(now, self.world.load.reached(), stands)))

    def most(self, since, until=None):
        return max((age for moment, age in self.samples
                    if since <= moment <= (until or moment)), default=0.0)

    def finish(self):
        self.ending.set()
        self.join()
        self.observer.close()


class Run:
    """What the drills of one call share."""

    def __init__(self, binary, previous, rate, seed):
        self.binary, self.previous, self.rate, self.seed = binary, previous, rate, seed
        self.stack, self.ends = Stack(), ExitStack()
        self.ends.callback(self.stack.close)
        self.folder = Path(self.ends.enter_context(tempfile.TemporaryDirectory()))
        self.brokers, self.count = None, 0

    def number(self):
        self.count += 1
        return self.count

    def with_brokers(self, count):
        if self.brokers:
            self.brokers.close()
        self.brokers = None
        if count:
            self.stack.up("kafka")  # for its programs
            self.stack.down("kafka")
            self.brokers = Brokers(self.stack, count).start()

    def view(self):
        if not self.brokers:
            self.stack.up("kafka")
            return View(self.stack, {})
        return View(self.stack, {"KAFKA_BOOTSTRAP": self.brokers.bootstrap,
                                 "KAFKA_PROXY_BOOTSTRAP": self.brokers.proxied,
                                 "POSTGRES_PROXY_PORT": self.stack["POSTGRES_PORT"]})

    def kafka(self):
        self.view()
        return self.brokers.client() if self.brokers else Kafka(self.stack)

    def programs(self):
        self.stack.up("postgres")
        return self.stack["POSTGRES_BIN"]

    def close(self):
        if self.brokers:
            self.brokers.close()
        self.ends.close()


def under_load(world, work, members=1):
    """The world's load, `work` in the middle of it, and the comparison. work(world): how long it took
    until the target had all that Kafka had when it struck, and a remark or two."""
    try:
        world.prepare()
        for number in range(members):
            world.start(number)
        world.load.start()
        world.await_progress(500)
        if members > 1:
            time.sleep(3)  # the last member's rebalance is over
        took, *remarks = work(world)
        time.sleep(1)
        driver.finish(world, "")
        return {**driver.measured(world, world.prefix, 1, [took]), "remarks": "; ".join(remarks)}
    finally:
        world.close()


def recovery(world, began=None):
    """From now until the target has what Kafka has now; of what began earlier, from then."""
    began = began or time.monotonic()
    world.await_applied(world.load.reached(), "recovered")
    return time.monotonic() - began


# --- daemons --------------------------------------------------------------------------------------


def partitions_of(daemon, state=None):
    """How many it has; of this state."""
    lanes = json.loads(daemon.get("/status")[1] or '{"lanes": []}')["lanes"]
    return sum(state in (None, one["state"]) for lane in lanes for one in lane["partitions"])


@drill("daemons", "three daemons share the topics, one is killed (kill -9), the others take over")
def daemons(run):
    def kill(world):
        world.member(1).daemon.await_that(lambda: partitions_of(world.member(1).daemon), what="its share")
        world.collect(world.member(1))
        share = partitions_of(world.member(1).daemon)
        world.strike()
        began = time.monotonic()
        world.member(1).daemon.kill()
        time.sleep(0.5)  # so that all of its partitions have something that is new
        return [recovery(world, began), f"it had {share} of {sum(world.workload.topics.values())} "
                f"partitions; a member is missed after {SESSION_TIMEOUT_MS / 1000:.0f} s"]

    return under_load(HaWorld(run, "daemons"), kill, members=3)


@drill("rolling-restart", "three daemons, static members, are stopped and started one after the other")
def rolling_restart(run):
    def restart(world):
        ages = Ages(world)
        ages.start()
        began = time.monotonic()
        time.sleep(5)
        struck = time.monotonic()
        for number in range(3):
            world.stop(number)
            world.start(number)
            world.member(number).daemon.await_ready()
            time.sleep(1)
        took = recovery(world)
        ages.finish()
        return [took, f"the oldest record waited {ages.most(struck):.2f} s at most, "
                f"{ages.most(began, struck):.2f} s before"]

    return under_load(HaWorld(run, "rolling", stays=True), restart, members=3)


# --- PostgreSQL -----------------------------------------------------------------------------------


def failover(run, name, synchronous):
    pair = Pair(run.programs(), synchronous)
    try:
        def fail_over(world):
            if not synchronous:
                pair.cut()
                world.await_progress(2000)
                time.sleep(6)  # Kafka's group is told of what the standby has not
            world.strike()
            before = world.applied()
            began = time.monotonic()
            pair.fail_over()
            after = None
            while after is None:
                after = world.applied()
            return [recovery(world, began), f"{max(before - after, 0)} records went back and came again"]

        return under_load(HaWorld(run, name, pair=pair, synchronous=synchronous), fail_over)
    finally:
        pair.close()


@drill("failover-synchronous", "PostgreSQL dies, its synchronous standby is promoted; multi-host dsn")
def failover_synchronous(run):
    return failover(run, "failover-synchronous", True)


@drill("failover-asynchronous", "the same with a standby that is behind: seconds of commits are lost")
def failover_asynchronous(run):
    return failover(run, "failover-asynchronous", False)


class Alone:
    """A pair of one server."""

    def __init__(self, server):
        self.serving = server
        server.execute("create database ods owner ods")
        self.dsn = Pair.dsn_of([server])


@drill("power-loss", "fsync lies: the target's disk comes back as it was seconds ago, all of it")
def power_loss(run):
    with ExitStack() as ends:
        disk = Disk()
        ends.callback(disk.close)
        server = Server(run.programs(), "max_wal_size = 128MB\n", folder=disk.place)
        ends.callback(server.close)
        world = HaWorld(run, "power-loss", pair=Alone(server))

        def lose(world):
            disk.picture()
            world.await_progress(2000)
            time.sleep(6)
            world.strike()
            before, began = world.applied(), time.monotonic()
            server.kill()
            disk.back_to_picture()
            (server.data / "postmaster.pid").unlink(missing_ok=True)
            server.start()
            after = None
            while after is None:
                after = world.applied()
            return [recovery(world, began), f"{before - after} records went back and came again"]

        return under_load(world, lose)


# --- backups, copies, versions --------------------------------------------------------------------


class Dump:
    """A backup of a database as it is at one moment."""

    def __init__(self, run, name):
        self.run, self.file = run, run.folder / f"{name}-{run.number()}.dump"
        self._call("pg_dump", "--format=custom", f"--file={self.file}", name)

    def _call(self, program, *arguments):
        stack = self.run.stack
        subprocess.run([Path(self.run.programs()) / program, "--host", stack["POSTGRES_SOCKET_DIR"], "--port",
                        stack["POSTGRES_PORT"], "--username", "postgres", *arguments], check=True)

    def restore(self, name):
        administer(self.run.stack, f"drop database if exists {name} with (force)")
        administer(self.run.stack, f"create database {name} owner ods")
        self._call("pg_restore", "--exit-on-error", f"--dbname={name}", str(self.file))


@drill("restore", "pg_dump under load; seconds later the daemon is stopped, the database is dropped and restored")
def restore(run):
    def go_back(world):
        dump = Dump(run, world.database.name)
        world.await_progress(2000)
        time.sleep(6)  # Kafka's group is told of what the backup has not
        world.strike()
        world.stop(0)
        before, began = world.applied(), time.monotonic()
        world.observer.close()
        dump.restore(world.database.name)
        restored, after = time.monotonic(), world.applied()
        world.start(0)
        took = recovery(world, restored)
        return [took, f"{before - after} records went back and came again; the restore itself took "
                f"{restored - began:.1f} s"]

    return under_load(HaWorld(run, "restore"), go_back)


@drill("copy", "a backup is restored beside, and another pipeline takes it up by its offsets; readers move")
def copy(run):
    def move(world):
        old = (world.database, world.observer)
        dump = Dump(run, world.database.name)
        world.await_progress(2000)
        copied = create_database(run.stack, f"ha_{run.number()}")
        began = time.monotonic()
        dump.restore(copied.name)
        places = copied.execute("select topic, partition, next_offset from ods_sink.offsets "
                                "where consumer_group = %s", world.group)
        world.group, world.database = f"{world.group}-copy", copied
        new = world.member(1)
        for topic, partition, offset in places:
            new.setup.run("reset", "-c", new.setup.conf, "--pipeline", "load", "--topic", topic,
                          "--partition", partition, "--to", offset)
        for topic in set(world.workload.topics) - {topic for topic, _, _ in places}:
            new.setup.run("reset", "-c", new.setup.conf, "--pipeline", "load", "--topic", topic, "--to", "earliest")
        world.observer = Observer(world.stack, copied.name)
        world.start(1)
        took = recovery(world, began)
        world.stop(0)
        old[0].close()
        old[1].close()
        return [took, f"{len(places)} offsets were given; the old target was fed until the new one was as far"]

    return under_load(HaWorld(run, "copy"), move)


@drill("versions", "two daemons of an earlier version become this one, the earlier one again, and "
       "this one again, one after the other, on one schema", previous=True)
def versions(run):
    world = HaWorld(run, "versions")
    world.binary = run.previous

    def replace(world):
        ages = Ages(world)
        ages.start()
        began = time.monotonic()
        for binary in (run.binary, run.previous, run.binary):
            for number in range(2):
                world.stop(number)
                world.member(number).setup.binary = binary
                world.start(number)
                world.member(number).daemon.await_ready()
                time.sleep(1)
            world.await_progress(1000)
        took = recovery(world)
        ages.finish()
        return [took, f"the oldest record waited {ages.most(began):.1f} s at most"]

    return under_load(world, replace, members=2)


# --- Kafka ----------------------------------------------------------------------------------------


@drill("broker-killed", "three brokers, three copies; one is killed and comes back", brokers=3)
def broker_killed(run):
    def kill(world):
        ages = Ages(world)
        ages.start()
        world.strike()
        began = time.monotonic()
        run.brokers.brokers[1].kill()
        took = recovery(world)
        world.await_progress(3000)
        run.brokers.brokers[1].start()
        run.brokers.await_all()
        world.await_progress(3000)
        ages.finish()
        return [took, f"the oldest record waited {ages.most(began):.1f} s at most"]

    return under_load(HaWorld(run, "broker-killed"), kill)


@drill("broker-slow", "three brokers; each answer of one takes half a second longer", brokers=3)
def broker_slow(run):
    proxies = Toxiproxy(run.stack)
    for broker in run.brokers.brokers:
        broker.proxy = proxies.create(f"broker-{broker.number}", f"127.0.0.1:{broker.proxied}")
    for broker in run.brokers.brokers:
        broker.kill()
    run.brokers.start()

    def slow(world):
        ages = Ages(world)
        ages.start()
        began = time.monotonic()
        proxies.add("broker-3", "latency", latency=500)
        time.sleep(10)
        struck = time.monotonic()
        proxies.clear("broker-3")
        took = recovery(world, struck)
        ages.finish()
        return [took, f"the oldest record waited {ages.most(began, struck):.1f} s at most meanwhile"]

    return under_load(HaWorld(run, "broker-slow", proxied=True), slow)


@drill("broker-stopped", "three brokers, three copies; one is frozen (SIGSTOP) for 30 seconds, its "
       "connections stay open", brokers=3)
def broker_stopped(run):
    def freeze(world):
        ages = Ages(world)
        ages.start()
        frozen = run.brokers.brokers[1]
        world.hangover.append(frozen.thaw)
        leads = sum(leader == frozen.number for topic in world.workload.topics
                    for leader, _, _ in run.brokers.partitions(topic).values())
        world.strike()
        began = time.monotonic()
        frozen.freeze()
        took = recovery(world, began)
        time.sleep(max(0.0, began + 30 - time.monotonic()))
        meanwhile = ages.most(began)
        frozen.thaw()
        thawed = time.monotonic()
        run.brokers.await_all()
        world.await_progress(3000)
        ages.finish()
        return [took, f"it led {leads} partitions; the oldest record waited {meanwhile:.1f} s at most meanwhile, "
                f"{ages.most(thawed):.1f} s behind it"]

    return under_load(HaWorld(run, "broker-stopped"), freeze)


@drill("reassigned", "three brokers, two copies; each partition moves to other brokers", brokers=3)
def reassigned(run):
    world = HaWorld(run, "reassigned")
    world.kafka.copies = 2

    def reassign(world):
        moves = [{"topic": topic, "partition": number, "replicas": [others(replicas), replicas[0]]}
                 for topic in world.workload.topics
                 for number, (_, replicas, _) in run.brokers.partitions(topic).items()]
        plan = run.folder / "moves.json"
        plan.write_text(json.dumps({"version": 1, "partitions": moves}))
        began = time.monotonic()
        tool = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
        run.brokers.tool(tool, "--reassignment-json-file", str(plan), "--execute")
        wait_for(lambda: all(set(run.brokers.partitions(one["topic"])[one["partition"]][1])
                             == set(one["replicas"]) for one in moves), 120, "they have moved",
                 interval_s=0.3)
        moved = time.monotonic() - began
        run.brokers.tool("org.apache.kafka.tools.LeaderElectionCommand", "--election-type", "preferred",
                         "--all-topic-partitions")
        return [recovery(world), f"{len(moves)} partitions moved in {moved:.0f} s"]

    def others(replicas):
        return next(broker.number for broker in run.brokers.brokers if broker.number not in replicas)

    return under_load(world, reassign)


@drill("more-partitions", "two topics get more partitions: the load stops, LAG 0, they are added")
def more_partitions(run):
    def add(world):
        rate, world.load.rate = world.load.rate, 0
        time.sleep(0.2)
        world.load._producer.flush(30)
        began = time.monotonic()
        world.await_applied(world.load.reached(), "LAG 0")
        for table in (world.workload.items, world.workload.orders):
            more = world.workload.partitions[table.topic] + 3
            world.kafka.add_partitions(table.topic, more)
            world.load._producer.list_topics(table.topic)
            world.workload.partitions[table.topic] = more
        world.load.rate = rate
        world.await_progress(2000)
        took = recovery(world, began)
        new = sum(1 for (topic, number) in world.stands() if topic == world.workload.items.topic)
        return [took, f"{new} partitions of one of them are read"]

    return under_load(HaWorld(run, "more-partitions"), add)


class Moving(HaWorld):
    """Its topics are those of a list of prefixes: of one connector, and of the one that follows it."""

    def __init__(self, run, name):
        self.prefixes = [f"ha-{name}"]
        super().__init__(run, name)

    def pipeline(self):
        topics = [topic for prefix in self.prefixes for topic in load_pipeline(prefix)["topics"]]
        return {**super().pipeline(), "topics": topics}

    def read(self, prefixes):
        """These from now on: a restart."""
        self.prefixes = prefixes
        self.stop(0)
        self.member(0).configure()
        self.start(0)
        self.member(0).daemon.await_ready()

    def move(self, prefix):
        workload = self.workload
        for table in [one for one in vars(workload).values() if isinstance(one, Table)]:
            partitions = workload.partitions[table.topic]
            table.move_to(prefix)
            workload.partitions[table.topic] = partitions
            self.kafka.create(table.topic, partitions)

    def snapshot(self):
        """All rows of tables with a key, as the source has them by now: some have changed while no connector ran.
        A table without a key would get its rows a second time."""
        workload = self.workload
        for name in ("items", "orders", "documents"):
            table, rows = getattr(workload, name), workload.rows[name]
            for number, (key, kept) in enumerate(list(rows.items())):
                row = kept[0] if name == "items" else kept
                if kept == bad.TAKEN or name == "items" and kept[1] == "d":
                    continue
                if number % 10 == 0:
                    row = {**row, "version" if name == "documents" else "amount": -number}
                rows[key] = (row, "r") if name == "items" else row
                workload.changes[name, key] += 1
                yield table.read(row, **workload.place(name, key))


@drill("new-topics", "another connector writes to topics of other names: the load stops, LAG 0, both names are read, a "
       "snapshot comes, then the old names are taken out")
def new_topics(run):
    def move(world):
        old, new = world.prefixes[0], f"{world.prefixes[0]}-anew"
        with world.load.held():
            began = time.monotonic()
            world.await_applied(world.load.reached(), "LAG 0")
            world.move(new)
            world.read([old, new])
            both = time.monotonic() - began
            rows = list(world.snapshot())
            world.load.send(rows)
        took = recovery(world, began)
        world.await_progress(2000)
        world.read([new])
        world.await_progress(1000)
        return [took, f"{both:.1f} s of it until both were read; a snapshot of {len(rows)} rows was merged"]

    return under_load(Moving(run, "new-topics"), move)


# What the target of a Small drill has before it begins: how often each row was written stands beside it.
COUNTED = """
create table items (id integer primary key, name text, amount integer, cdc_operation text,
                    cdc_timestamp timestamp with time zone);
create table written (id integer primary key, times integer not null);
create function count_written() returns trigger language plpgsql as $$ begin
    insert into written values (new.id, 1)
        on conflict (id) do update set times = written.times + 1;
    return null; end $$;
create trigger count_written after insert or update on items
    for each row execute function count_written();
"""


class Small:
    """One table and a daemon, for drills at whose end the daemon stops by itself."""

    def __init__(self, run, name, copies=1):
        self.kafka, self.table, self.lost = run.kafka(), Table(prefix=f"ha-{name}"), 0
        self.kafka.copies = copies
        self.kafka.create(self.table.topic, 1)
        run.stack.up("postgres")
        self.database = create_database(run.stack, f"ha_{run.number()}")
        self.database.execute(COUNTED)
        self.setup = Setup(run.folder / name, run.binary, run.view())
        self.setup.write(pipeline(self.table), database=self.database, kafka=True,
                         kafka_properties=KAFKA)
        self.ids = set()

    def produce(self, kafka, numbers):
        numbers = list(numbers)
        kafka.produce([self.table.create(row(number)) for number in numbers])
        self.ids |= set(numbers)

    def has_all(self):
        return self.database.count("items") == len(self.ids)

    def stopped(self, daemon, words):
        """How long until it ended by itself, and said so."""
        began = time.monotonic()
        wait_for(lambda: not daemon.running(), PATIENCE_S, daemon.tail)
        assert daemon.process.returncode == Exit.SOURCE and words in daemon.log(), daemon.tail()
        return time.monotonic() - began

    def go_on(self, kafka, where, numbers):
        """As its message advises."""
        self.setup.run("reset", "-c", self.setup.conf, "--topic", self.table.topic, "--to", where)
        daemon = self.setup.daemon()
        self.produce(kafka, numbers)
        daemon.await_that(self.has_all, what="everything")
        daemon.stop()

    def result(self, took, remarks):
        """Each row was created once, so what was written oftener came twice."""
        found = {number for number, in self.database.execute("select id from items")}
        times = dict(self.database.execute("select id, times from written"))
        self.setup.close()
        self.database.close()
        return {"records": len(self.ids), "lost": len(self.ids - found),
                "rewritten": sum(times.values()) - len(times),
                "wrong": len(found - self.ids), "recovery_s": {"most": round(took, 2)},
                "remarks": remarks}


def made_anew(run, name, idle):
    """idle: the daemon that meets the new cluster has been handed no record since its start."""
    small = Small(run, name)
    small.produce(small.kafka, range(1000))
    daemon = small.setup.daemon()
    daemon.await_that(small.has_all, what="the first cluster's")
    if idle:
        daemon.stop()
        daemon = small.setup.daemon().await_ready()
        daemon.await_that(lambda: partitions_of(daemon, "active") == 1, what="the partition is read")
    run.brokers.brokers[0].kill()
    run.brokers.start()
    kafka = run.kafka()
    kafka.create(small.table.topic, 1)
    small.produce(kafka, range(5000, 6500))
    took = small.stopped(daemon, "made anew")
    assert small.database.count("items") == 1000
    small.go_on(kafka, "earliest", range(7000, 7010))
    return small.result(took, "the daemon stopped and said so; all of both clusters after "
                              "`reset --to earliest`")


@drill("cluster-anew", "the Kafka cluster is made anew under the same names, and refilled at once",
       brokers=1)
def cluster_anew(run):
    return made_anew(run, "cluster-anew", idle=False)


@drill("cluster-anew-idle", "the same under a daemon that got no record since its start", brokers=1)
def cluster_anew_idle(run):
    return made_anew(run, "cluster-anew-idle", idle=True)


@drill("unclean-election", "three brokers; one that lacks the newest records becomes the leader",
       brokers=3)
def unclean_election(run):
    small = Small(run, "unclean-election", copies=2)
    topic = small.table.topic
    small.kafka.alter(topic, min_insync_replicas=1)
    _, (leader, follower), _ = run.brokers.partitions(topic)[0]
    small.produce(small.kafka, range(100))
    daemon = small.setup.daemon()
    daemon.await_that(small.has_all, what="what both brokers have")
    broker = {one.number: one for one in run.brokers.brokers}
    broker[follower].kill()
    wait_for(lambda: run.brokers.partitions(topic)[0][2] == [leader], 60, "one is in sync",
             interval_s=0.3)
    small.produce(small.kafka, range(100, 200))
    daemon.await_that(small.has_all, what="what one broker has")
    broker[leader].kill()
    broker[follower].start()

    def elected():
        try:
            run.brokers.tool("org.apache.kafka.tools.LeaderElectionCommand", "--election-type",
                             "unclean", "--topic", topic, "--partition", "0")
            return run.brokers.partitions(topic)[0][0] == follower
        except Exception:  # noqa: BLE001: not yet
            return False

    wait_for(elected, 120, "it leads", interval_s=0.5)
    took = small.stopped(daemon, "records are gone")
    small.go_on(run.brokers.client(), "latest", range(300, 310))
    return small.result(took, "Kafka lost 100 records that the target has; the daemon stopped and "
                              "said so; nothing lost after `reset --to latest`")


@drill("lost-offset", "the target has lost the first offset of a partition, Kafka's group has one")
def lost_offset(run):
    small = Small(run, "lost-offset")
    small.produce(small.kafka, range(1000))
    daemon = small.setup.daemon()
    daemon.await_that(lambda: small.kafka.committed(f"{small.setup.group}.items", small.table.topic, 1)
                      == [1000], what="the group has committed")
    small.database.execute("delete from ods_sink.offsets")
    small.database.execute("delete from items")
    small.database.execute("delete from written")
    began = time.monotonic()
    small.produce(small.kafka, range(1000, 1010))
    daemon.await_that(small.has_all, what="everything")
    took = time.monotonic() - began
    daemon.stop()
    return small.result(took, "it begins again with the first record")


# --- all of it ------------------------------------------------------------------------------------


def is_exact(result):
    return not any(result.get(name) for name in ("lost", "twice", "rewritten", "wrong", "letters_lost",
                                                 "letters_wrong"))


def perform(run, name):
    chosen = DRILLS[name]
    if chosen.brokers or run.brokers:
        run.with_brokers(chosen.brokers)
    result = chosen.function(run)
    if not is_exact(result):
        print(f"  {name}: {result}", flush=True)
    return result


def options_of(arguments):
    parser = argparse.ArgumentParser(usage="scripts/ha [--binary FILE] [--previous COMMIT] [--rate STEPS] "
                                           "[--out FILE] [--publish] DRILL…|all|list")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "ods-sink")
    parser.add_argument("--previous", type=Path, help="the program of an earlier version")
    parser.add_argument("--previous-name", help="what the figures call it")
    parser.add_argument("--rate", type=int, default=500, help="steps of the load a second")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--publish", action="store_true", help="write docs/ha.json and the page's table")
    parser.add_argument("drills", nargs="+", choices=[*DRILLS, "all", "list"], metavar="DRILL")
    options = parser.parse_args(arguments)
    options.names = [] if "list" in options.drills else list(DRILLS) if "all" in options.drills else options.drills
    for name in [name for name in options.names if DRILLS[name].previous and not options.previous]:
        if "all" not in options.drills:
            parser.error(f"{name} needs --previous COMMIT")
        options.names.remove(name)
        print(f"ha: {name} is left out: it needs --previous COMMIT", flush=True)
    return options


def main():
    options = options_of(sys.argv[1:])
    if "list" in options.drills:
        for name, chosen in DRILLS.items():
            print(f"{name:22} {chosen.what}")
        return 0
    seed = int(os.environ.get("ODS_FAULT_SEED") or random.randrange(10**9))
    print(f"ha: {options.rate} steps a second, ODS_FAULT_SEED={seed}", flush=True)
    results, bad = {}, []
    program = ha_report.name_of(options.binary)  # before the pages are changed
    run = Run(options.binary, options.previous, options.rate, seed)
    try:
        for name in options.names:
            result = perform(run, name)
            if DRILLS[name].previous:
                result["remarks"] += f"; the earlier one is {options.previous_name or options.previous.name}"
            results[name] = ha_report.kept(result, seed, options.rate, program)
            bad += [name] * (not is_exact(result))
            print(ha_report.row(name, DRILLS[name], results[name]), flush=True)
            if options.publish:  # each by itself, so that a drill that fails costs those before it nothing
                ha_report.publish({name: results[name]}, DRILLS)
    finally:
        run.close()
    if options.out:
        options.out.write_text(json.dumps({"seed": seed, "drills": results}, indent=1))
    print("; ".join(f"{name}: NOT EXACT" for name in bad) or "0 lost, 0 twice, 0 wrong", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
