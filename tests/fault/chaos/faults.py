"""The faults. Each is a function that begins one, lasts as long as it lasts, and returns when its
cause is gone; how the sink then recovers is measured by the driver. `choose` is the seed's random."""

import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from confluent_kafka.admin import AdminClient, ConfigResource

from lib.small_disk import fill
from lib.stack import ROOT
from lib.waiting import wait_for

from .world import LOCK_TIMEOUT_MS, SESSION_TIMEOUT_MS


@dataclass(frozen=True)
class Fault:
    name: str
    text: str           # for the table in docs/reliability.md
    inject: object      # (world, choose) -> None
    whole: int          # how often in a whole run
    needs: str = ""     # "proxy", "clock", "mount"
    alone: bool = False  # not in the mixture: it needs a world of its own


FAULTS = {}


def fault(text, whole, **more):
    def keep(function):
        name = function.__name__
        FAULTS[name] = Fault(name, text, function, whole, **more)
        return function
    return keep


# ---- the process ----------------------------------------------------------------------------------

@fault("`kill -9` of the daemon", 100)
def kill_daemon(world, choose):
    member = world.member(0)
    world.collect(member)
    world.strike()
    time.sleep(choose.random() * 0.005)  # somewhere in a batch, not just after a commit
    member.daemon.kill()
    world.start(0)


@fault("orderly stop and start of the daemon", 10)
def restart_daemon(world, choose):
    world.strike()
    world.stop(0)
    world.start(0)


@fault("stopped (`SIGSTOP`) beyond the session time-out, another process takes over, continued", 10)
def stopped_process(world, choose):
    world.start(1)
    world.member(1).daemon.await_that(lambda: assigned(world.member(1)), 60, "an assignment")
    zombie = world.member(choose.randrange(2)).daemon
    world.strike()
    zombie.signal(signal.SIGSTOP)
    try:
        await_takeover(world)
    finally:
        zombie.signal(signal.SIGCONT)
    world.await_progress()
    world.stop(1)


@fault("stopped with its transaction half done, another process takes over, continued", 5)
def stopped_in_transaction(world, choose):
    """Its session holds the locks on the offsets. What it had sent whole commits when the lock that
    it waits for is released, although the process is not there; the other one must notice."""
    world.start(1)
    world.member(1).daemon.await_that(lambda: assigned(world.member(1)), 60, "an assignment")
    blocker = world.observer.connect()
    blocker.autocommit = False
    world.strike()
    try:
        blocker.cursor().execute("lock table events in share mode")
        zombie = world.member(0).daemon
        await_waiting(world)
        zombie.signal(signal.SIGSTOP)
        try:
            blocker.rollback()
            await_takeover(world)
        finally:
            zombie.signal(signal.SIGCONT)
    finally:
        blocker.close()
    world.stop(1)


@fault("stopped between two statements of a transaction, another process takes over", 5)
def stopped_holding_locks(world, choose):
    """Its session is idle in a transaction and holds the locks on the offsets, for as long as the
    server lets it: as long as the process stands still, nobody ends it."""
    world.start(1)
    world.member(1).daemon.await_that(lambda: assigned(world.member(1)), 60, "an assignment")
    world.strike()
    daemon = world.member(0).daemon
    world.await_that(lambda: stopped_while(world, daemon, "idle in transaction"),
                     "the process, stopped while it holds locks")
    try:
        await_takeover(world)
    finally:
        daemon.signal(signal.SIGCONT)
    world.stop(1)


@fault("stopped with half of its pipeline sent, another process takes over", 5, needs="proxy",
       alone=True)
def stopped_in_pipeline(world, choose):
    """For the server it is active, and waits for the rest: no time-out of its own ends that. A slow
    network makes the moment long enough to be hit."""
    world.start(1)
    world.member(1).daemon.await_that(lambda: assigned(world.member(1)), 60, "an assignment")
    undo = remember(world, lambda: world.toxiproxy.clear("postgres"))
    world.toxiproxy.add("postgres", "bandwidth", "upstream", rate=20)
    world.strike()
    daemon = world.member(0).daemon
    world.await_that(lambda: stopped_while(world, daemon, "active"),
                     "the process, stopped while it sends")
    undo()
    try:
        await_takeover(world)
    finally:
        daemon.signal(signal.SIGCONT)
    world.stop(1)


def stopped_while(world, daemon, state):
    """Bad records make it look through its batches, statement after statement."""
    idle = ("select count(*) from pg_stat_activity a join pg_locks l using (pid) "
            "where application_name = 'member-0' and datname = %s and wait_event = 'ClientRead' "
            f"and l.relation = to_regclass('ods_sink.offsets') and state = '{state}' "
            "and state_change < clock_timestamp() - interval %s")
    world.load.send_bad_record()
    for _ in range(200):
        if world.observer.query(idle, world.database.name, "0 s")[0][0]:
            daemon.signal(signal.SIGSTOP)
            time.sleep(0.1)
            if world.observer.query(idle, world.database.name, "0.09 s")[0][0]:
                return True
            daemon.signal(signal.SIGCONT)
    return False


@fault("1 → 3 → 1 processes", 20)
def scale(world, choose):
    world.strike()
    world.start(1)
    world.start(2)
    time.sleep(choose.random() * 2)
    for number in choose.sample([1, 2], 2):
        if choose.random() < 0.3:
            world.member(number).daemon.kill()
        else:
            world.stop(number)
        time.sleep(choose.random() * 0.5)


def await_takeover(world):
    """What was sent after the session's end stands in the target: of all partitions."""
    time.sleep(SESSION_TIMEOUT_MS / 1000 + 0.5)
    world.await_applied(world.load.reached(), "the other process has taken over")


def assigned(member):
    return "assigned" in member.daemon.log()


# ---- orders of an operator --------------------------------------------------------------------------

@fault("one table paused, the others go on, resumed", 20)
def table_paused(world, choose):
    """Nothing of it is written meanwhile, also by a process that is started then."""
    topic = choose.choice(list(world.workload.topics))
    world.strike()
    command(world, "pause", topic, "--reason", "a fault")
    before = offsets_of(world, topic)
    if choose.random() < 0.3:
        world.member(0).daemon.kill()
        world.start(0)
    goal = {place: end for place, end in world.load.reached().items() if place[0] != topic}
    world.await_applied(goal, "the other tables go on")
    time.sleep(choose.random())
    after = offsets_of(world, topic)
    assert after == before, f"a table that is paused is written: {before} became {after}\n{world.member(0).daemon.tail()}"
    command(world, "resume", topic)


@fault("a table made anew and exchanged (`resync`), killed three times in the middle", 3, alone=True)
def table_resynced(world, choose):
    """One that somebody has changed by hand. A trigger would stay with the old table."""
    world.strike()
    member = world.member(0)
    topic = world.workload.documents.topic
    world.database.execute("drop trigger if exists count_writes on documents")
    world.database.execute("update documents set version = -1 where id % 2 = 0")
    for _ in range(3):
        process = subprocess.Popen([member.setup.binary, "resync", "-c", member.setup.conf, topic],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=world.stack.environment())
        time.sleep(choose.random() * 1.5)
        process.kill()
        process.wait()
    command(world, "resync", topic)


def command(world, name, *arguments):
    setup = world.member(0).setup
    return setup.run(name, "-c", setup.conf, *arguments, "--wait", "60")


def offsets_of(world, topic):
    stands = world.await_that(world.stands, "the target answers")
    return {place: offset for place, offset in stands.items() if place[0] == topic}


# ---- PostgreSQL -----------------------------------------------------------------------------------

@fault("PostgreSQL: restart", 10)
def postgres_restart(world, choose):
    world.strike()
    world.observer.close()
    world.stack.down("postgres")
    time.sleep(choose.random())
    world.start_server("postgres")


@fault("PostgreSQL: immediate stop (crash recovery)", 10)
def postgres_immediate(world, choose):
    world.strike()
    world.observer.close()
    pid = world.stack.pid("postgres")
    os.kill(pid, signal.SIGQUIT)
    wait_for(lambda: not Path(f"/proc/{pid}/cmdline").exists()
             or not Path(f"/proc/{pid}/cmdline").read_bytes(), 60, "PostgreSQL has ended")
    world.start_server("postgres")


@fault("PostgreSQL: `kill -9` of a backend (all sessions lost, crash recovery)", 10)
def postgres_backend_killed(world, choose):
    world.strike()
    pids = sessions(world)
    world.observer.close()
    if pids:
        os.kill(choose.choice(pids), signal.SIGKILL)


@fault("PostgreSQL: `pg_terminate_backend`", 100)
def terminate_backend(world, choose):
    world.strike()
    time.sleep(choose.random() * 0.02)
    world.observer.query("select pg_terminate_backend(pid) from pg_stat_activity "
                         "where datname = %s and usename = 'ods'", world.database.name)


@fault("PostgreSQL: statement cancelled (`pg_cancel_backend`)", 30)
def cancel_backend(world, choose):
    world.strike()
    for _ in range(5):
        world.observer.query("select pg_cancel_backend(pid) from pg_stat_activity where datname = "
                             "%s and usename = 'ods' and state = 'active'", world.database.name)
        time.sleep(choose.random() * 0.01)


@fault("PostgreSQL: deadlock with another session, the sink as its victim", 10)
def deadlock(world, choose):
    """The other session holds half of the rows and asks for the other half while the sink, which has
    some of those, waits. Its own search for deadlocks comes too late to be the victim."""
    before = deadlocks(world)
    for _ in range(30):
        blocker = world.observer.connect()
        blocker.autocommit = False
        try:
            cursor = blocker.cursor()
            cursor.execute("set deadlock_timeout = '60s'")
            cursor.execute("select from items where id % 2 = 0 for update")
            world.strike()
            await_waiting(world)
            cursor.execute("set lock_timeout = '3s'")
            cursor.execute("select from items where id % 2 = 1 for update")
        except psycopg2.errors.LockNotAvailable:
            pass
        finally:
            blocker.rollback()
            blocker.close()
        if deadlocks(world) > before:
            return
    raise AssertionError("no deadlock came about")


def deadlocks(world):
    # A backend tells what it counted at the end of its next transaction, at most once a second.
    time.sleep(1.1)
    return world.observer.query("select deadlocks from pg_stat_database where datname = %s",
                                world.database.name)[0][0]


@fault("PostgreSQL: a lock held beyond the sink's `lock_timeout`", 10)
def lock_timeout(world, choose):
    world.strike()
    blocker = world.observer.connect()
    blocker.autocommit = False
    try:
        table = choose.choice(["items", "orders", "documents", "events", "ods_sink.offsets"])
        blocker.cursor().execute(f"lock table {table} in access exclusive mode")
        time.sleep(LOCK_TIMEOUT_MS / 1000 * 2)
    finally:
        blocker.rollback()
        blocker.close()


@fault("PostgreSQL: read-only (as after a failover)", 10)
def read_only(world, choose):
    """As PostgreSQL answers when it is a standby: SQLSTATE 25006."""
    server(world, "alter system set default_transaction_read_only = on")
    undo = remember(world, lambda: server(
        world, "alter system reset default_transaction_read_only"))
    world.strike()
    time.sleep(1 + choose.random())
    undo()


@fault("PostgreSQL: disk full", 5, needs="mount")
def disk_full(world, choose):
    """The tables that grow stand in a tablespace of 64 MB, which other data fills up."""
    place = tablespace(world)
    ballast = place / "ballast"
    world.strike()
    fill(ballast)
    try:
        before = refusals(world)
        wait_for(lambda: refusals(world) > before, 60, "the server refuses to extend a table")
        time.sleep(1)
    finally:
        ballast.unlink()


def tablespace(world):
    """Made by the first disk_full of this world, and taken away with it."""
    place = world.stack.folder / f"small-{world.database.name}"
    if place.exists():
        return place
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=777", "tmpfs", place], check=True)
    space = f"small_{world.database.name}"

    def take_away():
        try:
            for table in ("events", "documents"):
                server(world, f"alter table {table} set tablespace pg_default")
            server(world, f"drop tablespace {space}", dbname="postgres")
        finally:
            subprocess.run(["umount", "-l", place], check=True)
            place.rmdir()

    owned = place / "data"
    owned.mkdir()
    subprocess.run(["chown", "postgres:", owned], check=True)
    owned.chmod(0o700)
    server(world, f"create tablespace {space} location '{owned}'", dbname="postgres")
    world.hangover.append(take_away)
    for table in ("events", "documents"):
        server(world, f"alter table {table} set tablespace {space}")
    return place


def refusals(world):
    """How often PostgreSQL has said that a disk is full."""
    log = (world.stack.folder / "log" / "postgres.log").read_text(errors="replace")
    return log.count("No space left on device")


@fault("PostgreSQL: connection limit reached", 10)
def connection_limit(world, choose):
    server(world, "alter role ods connection limit 0")
    undo = remember(world, lambda: server(world, "alter role ods connection limit -1"))
    world.strike()
    terminate_all(world)
    time.sleep(1 + choose.random())
    undo()


@fault("PostgreSQL: password changed and changed back", 5)
def password(world, choose):
    server(world, "alter role ods password 'another'")
    undo = remember(world, lambda: server(
        world, f"alter role ods password '{world.stack['POSTGRES_PASSWORD']}'"))
    world.strike()
    terminate_all(world)
    time.sleep(1 + choose.random())
    undo()


def terminate_all(world):
    world.observer.query("select pg_terminate_backend(pid) from pg_stat_activity "
                         "where datname = %s and usename = 'ods'", world.database.name)


def sessions(world):
    return [pid for pid, in world.observer.query(
        "select pid from pg_stat_activity where datname = %s and usename = 'ods'",
        world.database.name)]


def await_waiting(world):
    world.await_that(lambda: world.observer.query(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and usename = 'ods' "
        "and datname = %s", world.database.name)[0][0] > 0, "the sink waits for a lock")


def server(world, sql, dbname=None):
    """As superuser; what the server keeps in its files takes effect at once."""
    connection = world.observer.connect(dbname)
    try:
        connection.cursor().execute(sql)
        if sql.startswith("alter system"):
            connection.cursor().execute("select pg_reload_conf()")
    finally:
        connection.close()


def remember(world, undo):
    """A function that undoes it once: now, or at the end when something came between."""
    def once():
        if once in world.hangover:
            world.hangover.remove(once)
            undo()

    world.hangover.append(once)
    return once


# ---- Kafka ----------------------------------------------------------------------------------------

@fault("Kafka: broker stopped and started", 5)
def broker_restart(world, choose):
    world.strike()
    world.stack.down("kafka")
    time.sleep(choose.random() * 2)
    world.start_server("kafka")


@fault("Kafka: `kill -9` of the broker", 5)
def broker_killed(world, choose):
    world.strike()
    world.kill_server("kafka")
    time.sleep(choose.random() * 2)
    world.start_server("kafka")


@fault("dead-letter topic refuses (`max.message.bytes` too small)", 5)
def letters_refused(world, choose):
    """The lane with a bad record waits: its offset does not pass, and no letter gets lost."""
    configure_topic(world, {"max.message.bytes": "100"})
    undo = remember(world, lambda: configure_topic(world, {}))
    world.strike()
    topic, partition, offset = world.load.send_bad_record()
    time.sleep(2 + choose.random())
    stored = (world.stands() or {}).get((topic, partition), 0)
    assert stored <= offset, "an offset has passed a record that is neither applied nor set aside"
    undo()


def configure_topic(world, settings):
    resource = ConfigResource(ConfigResource.Type.TOPIC, world.letter_topic, set_config=settings)
    admin = AdminClient({"bootstrap.servers": world.stack["KAFKA_BOOTSTRAP"]})
    admin.alter_configs([resource])[resource].result(30)


# ---- the network, by Toxiproxy --------------------------------------------------------------------

def toxic(world, choose, proxy, seconds, *toxics):
    undo = remember(world, lambda: world.toxiproxy.clear(proxy))
    world.strike()
    for kind, stream, attributes in toxics:
        world.toxiproxy.add(proxy, kind, stream, **attributes)
    time.sleep(seconds)
    undo()


def network(proxy, server_name, catalogue=FAULTS):
    def latency(world, choose):
        toxic(world, choose, proxy, 2, ("latency", "downstream", {"latency": 300, "jitter": 200}))

    def cut(world, choose):
        undo = remember(world, lambda: world.toxiproxy.clear(proxy))
        world.strike()
        world.toxiproxy.enable(proxy, False)
        time.sleep(choose.random() * 2)
        undo()

    def half_open(world, choose):
        """Nothing comes through any more, in both directions, and nobody is told."""
        toxic(world, choose, proxy, 3, ("timeout", "downstream", {"timeout": 0}),
              ("timeout", "upstream", {"timeout": 0}))

    def answers_lost(world, choose):
        """What is asked arrives and is done, and the answer does not come back."""
        toxic(world, choose, proxy, 2, ("timeout", "downstream", {"timeout": 0}))

    def cut_in_the_middle(world, choose):
        """Connections end after so many bytes, in the middle of a message."""
        toxic(world, choose, proxy, 2,
              ("limit_data", "downstream", {"bytes": choose.randrange(1, 20_000)}),
              ("limit_data", "upstream", {"bytes": choose.randrange(1, 200_000)}))

    def slow(world, choose):
        toxic(world, choose, proxy, 2, ("bandwidth", "downstream", {"rate": 20}),
              ("bandwidth", "upstream", {"rate": 50}))

    for text, whole, function in (
            ("latency of 300 ± 200 ms", 10, latency),
            ("connections cut, port closed", 10, cut),
            ("half-open: silence in both directions", 10, half_open),
            ("answers lost: done, but nobody hears of it", 20, answers_lost),
            ("cut in the middle of a message", 20, cut_in_the_middle),
            ("slow: 20 KB/s", 10, slow)):
        name = f"{proxy}_{function.__name__}"
        catalogue[name] = Fault(name, f"network to {server_name}: {text}", function, whole, "proxy")


network("postgres", "PostgreSQL")
network("kafka", "Kafka")


# ---- records and clocks ---------------------------------------------------------------------------

@fault("none: the load alone", 1, alone=True)
def calm(world, choose):
    world.strike()
    world.await_progress(10_000)


@fault("records that can't be applied (1 in 20)", 1, alone=True)
def poison(world, choose):
    """The world's load is full of them; here nothing else happens."""
    world.strike()
    world.await_progress(6_000)


@fault("the daemon's clock jumps by up to a day, both ways", 20, needs="clock", alone=True)
def clock_jump(world, choose):
    world.strike()
    set_clock(world.folder, choose.randrange(-86_400, 86_400))
    world.await_progress(100)


# Of a target that is no PostgreSQL: what happens to the process, to Kafka and on the way there.
ANY_TARGET = ("kill_daemon", "restart_daemon", "stopped_process", "scale", "broker_restart",
              "broker_killed", "letters_refused", "kafka_latency", "kafka_cut", "kafka_half_open",
              "kafka_answers_lost", "kafka_cut_in_the_middle", "kafka_slow", "clock_jump", "poison")


def set_clock(folder, seconds):
    with open(folder / "clock", "r+b") as file:
        file.write((seconds * 10**9).to_bytes(8, "little", signed=True))


def clock_environment(folder):
    """A daemon with this reads a wall clock of its own; see tests/support/fake_clock.c."""
    library = folder / "fake_clock.so"
    (folder / "clock").write_bytes(bytes(8))
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library,
                    ROOT / "tests" / "support" / "fake_clock.c", "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "ODS_FAKE_CLOCK": str(folder / "clock")}


def missing(fault):
    """Why this machine cannot have this fault, or None."""
    if fault.needs == "mount" and os.geteuid() != 0:
        return "mounting a tmpfs needs root"
    if fault.needs == "mount" and not can_mount():
        return "mounting a tmpfs is not permitted here"
    return None


def can_mount():
    folder = Path(f"/tmp/ods-mount-{os.getpid()}-{threading.get_ident()}")
    folder.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder],
                              capture_output=True)
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return done.returncode == 0
    finally:
        folder.rmdir()
