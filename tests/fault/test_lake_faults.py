"""Tables of Delta Lake and Iceberg under faults of storage, catalog and other writers: each row is what it must
be, and each change stands in the history once.

A fault comes upon a process that applies a file of changes in small commits; it strikes once or twice, or
twenty with ODS_LAKE_FAULTS=20, as with `scripts/test --full`. What is read back is read by delta-rs and PyIceberg.
"""

import json
import os
import random
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest
from lib.faulty_http import Proxy
from lib.lake import WHY_NOT, Missing, engine, keep
from lib.lake_changes import Sent, feed_as_sent
from lib.records import Table, pipeline, row
from lib.rest_catalog import RestCatalog
from lib.s3 import KEYS, Storage
from lib.sink import Exit, Setup, write_lines
from lib.size import size
from lib.waiting import wait_for
from test_faults import SEED

TIMES = int(os.environ.get("ODS_LAKE_FAULTS", size("LAKE_FAULTS", 1, 20)))
# Of these a turn is a process or two.
TURNS = int(os.environ.get("ODS_LAKE_FAULTS", size("LAKE_TURNS", 1, 20)))
LONG = TIMES > 1
pytestmark = pytest.mark.timeout(3600 if LONG else 300)
KINDS = ("delta", "iceberg")
long_alone = pytest.mark.skipif(not LONG, reason="of the long runs: a test of the format's own has a part of it")


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    made = Storage(tmp_path_factory.mktemp("s3") / "log")
    made.ask("PUT", "lake")
    yield made
    made.close()


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    made = RestCatalog(tmp_path_factory.mktemp("catalog"))
    yield made
    made.close()


@pytest.fixture
def world(request, sink, tmp_path, prefix, report):
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    made = World(request, sink, tmp_path, prefix, report)
    yield made
    made.close()


class World:
    """One table with its rows and its history, in a folder, in a bucket or by a REST catalog."""

    def __init__(self, request, sink, folder, prefix, report):
        self.request, self.sink, self.folder, self.report = request, sink, folder, report
        self.reader = request.getfixturevalue("lake_reader")
        self.table = Table(prefix=prefix)
        self.space = f"s{prefix}".replace("-", "_").replace(".", "_")
        self.choose, self.state, self.sent = random.Random(f"{SEED} {prefix}"), {}, []
        self.effects = []  # of what was sent, a row or none
        self.kind = self.proxy = self.catalog = self.storage = None

    def close(self):
        if self.proxy:
            self.proxy.close()

    def anew(self, name):
        """Another one in a folder below."""
        (self.folder / name).mkdir()
        return World(self.request, self.sink, self.folder / name, f"{self.table.prefix}{name}", self.report)

    # ---- settings

    def at(self, kind, where="folder", batch=3, **target):
        """where: folder; bucket; rest, a catalog whose tables are in the folder."""
        self.kind = kind
        settings = {"name": "ods", "type": kind, "location": str(self.folder / "lake"), "commit_ms": 20, **target}
        if where == "bucket":
            self.storage = self.request.getfixturevalue("storage")
            self.proxy = Proxy(self.storage.port)
            settings |= {"location": f"s3://lake/{self.space}", "s3": {
                "endpoint": self.proxy.url, "access_key_id": KEYS["AWS_ACCESS_KEY_ID"],
                "secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"], "retries": 0, "timeout_ms": 5000}}
            if kind == "iceberg":
                settings["catalog"] = {"uri": f"sqlite://{self.folder}/catalog.sqlite"}
        if where == "rest":
            self.catalog = self.request.getfixturevalue("catalog")
            self.proxy = Proxy(self.catalog.port)
            settings["catalog"] = {"uri": self.proxy.url, "timeout_ms": 5000}
        self.settings = settings
        self.write(self.sink, settings, batch)
        return self

    def write(self, sink, settings, batch, topic=None, group=None, **more):
        named = pipeline(topic or self.table.topic, name=group or self.space, defaults={
            "mode": "both", "schema": self.space, "on_delete": "hard", "cdc_operation": "off", "cdc_timestamp": "off"})
        sink.write(named, targets=[settings], batch={"max_events": batch}, **more)

    # ---- changes

    def changes(self, count):
        """A file of so many records more, behind those that were there."""
        self.more(count)
        path = self.folder / f"records-{len(self.sent)}.jsonl"
        write_lines(path, self.sent)  # what is there is passed over, by its offset
        return path

    def more(self, count, keys=40):
        """So many records, and what they lead to."""
        made = []
        for _ in range(count):
            number, amount = self.choose.randrange(keys), self.choose.randrange(10**6)
            before = self.state.get(number)
            if before and self.choose.random() < 0.2:
                made.append(self.table.delete(self.state.pop(number)))
                self.effects.append((number, None))
                continue
            self.state[number] = row(number, amount)
            made.append(self.table.update(before, self.state[number]) if before
                        else self.table.create(self.state[number]))
            self.effects.append((number, self.state[number]))
        self.sent += made
        return made

    def replay(self, path, env=None, expect=Exit.OK):
        # A storage in Python answers slowly where a machine has much else to do.
        return self.sink.run("replay", "-c", self.sink.conf, "--wait", 60, path, env=env, expect=expect,
                             timeout_s=1800 if LONG else 120)

    def start(self, path, env=None):
        return subprocess.Popen(
            [self.sink.binary, "replay", "-c", self.sink.conf, "--wait", "60", path], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**self.sink.stack.environment(), **(env or {})})

    # ---- what is there

    def metadata(self, name):
        if self.catalog:
            found = self.catalog.table(self.space, name)
            return found and found["metadata-location"]
        return None

    def rows(self, name, columns, reader=None):
        place = f"s3://lake/{self.space}/{self.space}/{name}" if self.storage else \
            str(self.folder / "lake" / self.space / name)
        options = {}
        if self.kind == "delta":
            options = {"storage": self.storage.options} if self.storage else {}
        elif self.catalog:
            options = {"metadata": self.metadata(name)}
        elif self.storage:
            options = {"catalog": f"{self.folder}/catalog.sqlite", "storage": self.storage.options}
        try:
            reader = reader or ("deltalake" if self.kind == "delta" else "pyiceberg")
            return self.reader.ask(reader, place, columns=columns, **options)
        except Missing:
            return []

    def foreign(self, what, **options):
        """Something is done to the table by the format's own library. False: another one was faster, or there was nothing
        to do."""
        place = str(self.folder / "lake" / self.space / "items")
        try:
            return self.reader.ask(f"{self.kind}_{what}", place, **options) is not False
        except AssertionError as error:
            assert any(why in str(error) for why in ("Commit", "oncurrent", "ValidationException: Added data")), error
            return False

    def compare(self):
        """Rows that are lost, twice or wrong, those of the history included."""
        seen = self.rows("items", "id, name, amount")
        found = {one["id"]: one for one in seen}
        columns = ('"offset"' if self.kind == "delta" else "offset") + ", topic, op, id, name, amount"
        if not self.storage:
            self.other_reader_agrees(seen)
        written = [one for one in self.rows("items_cdc", columns) if one["topic"] == self.table.topic]
        history, wanted = [one["offset"] for one in written], set(range(len(self.sent)))
        return {"lost": len(self.state.keys() - found.keys()) + len(wanted - set(history)),
                "twice": len(seen) - len(found) + len(history) - len(set(history)),
                "wrong": len(found.keys() - self.state.keys()) + len(set(history) - wanted) +
                sum(found[key] != self.state[key] for key in found.keys() & self.state.keys()) +
                sum(one != self.change(one["offset"]) for one in written if one["offset"] in wanted)}

    def change(self, offset):
        """What the history must say of a record."""
        told = json.loads(self.sent[offset]["payload"])["payload"]
        return {"offset": offset, "topic": self.table.topic, "op": told["op"], **(told["after"] or told["before"])}

    def other_reader_agrees(self, seen):
        """DuckDB sees the rows that the format's own library sees, and as many of the history."""
        reader, own = ("duckdb", '"offset"') if self.kind == "delta" else ("duckdb_iceberg", "offset")
        assert sorted(map(str, self.rows("items", "id, name, amount", reader))) == sorted(map(str, seen))
        offsets = [sorted(one["offset"] for one in self.rows("items_cdc", *how)) for how in (('"offset"', reader), (own,))]
        assert offsets[0] == offsets[1]

    def compare_feed(self):
        """What delta-rs reads of the change data feed is what was sent, a version as the other."""
        sent, place = Sent(self.table), self.folder / "lake" / self.space / "items"
        sent.effects = self.effects
        feed_as_sent(self.reader.ask("changes", place), place / "_delta_log", sent)

    def versions(self):
        """Of each version of the table of rows: how far the topic is in it, none in one of others; and was it one that
        only puts files together?"""
        place, topic = self.folder / "lake" / self.space / "items", f"{self.table.topic}:0"
        if self.kind == "iceberg":
            for snapshot in self.reader.ask("iceberg_described", place)["snapshots"]:
                offsets = json.loads(snapshot.get("ods.offsets", "{}"))
                yield (next((upto for name, upto in offsets.items() if name.endswith(topic)), None),
                       snapshot["operation"] == "replace")
            return
        for entry in sorted((place / "_delta_log").glob("?" * 20 + ".json")):
            actions = [json.loads(line) for line in entry.read_text().splitlines()]
            moved = [one["txn"]["version"] for one in actions if one.get("txn", {}).get("appId", "").endswith(topic)]
            adds = [one["add"]["dataChange"] for one in actions if "add" in one]
            yield moved[0] if moved else None, not any(adds)

    def played(self, rows):
        """What the versions come to, one after the other, where those of others put `rows` in place of all."""
        state, at = {}, 0
        for upto, same in self.versions():
            if upto is None and not same:
                state = {each["id"]: each for each in rows}
            for number, image in self.effects[at:upto or at]:
                state.pop(number, None)
                state |= {number: image} if image else {}
            at = upto or at
        return state

    def judge(self, fault, injected, least=None):
        result = self.compare()
        self.report(f"ODS_FAULT_SEED={SEED}: {self.kind}, {injected} × {fault}, {len(self.sent)} records; "
                    f"{', '.join(f'{name} {count}' for name, count in result.items())}")
        keep(self.kind, fault, SEED, injected, len(self.sent), len(self.state), **result)
        assert result == {"lost": 0, "twice": 0, "wrong": 0}
        assert injected >= (TIMES if least is None else least), "the fault came too seldom"


# ---- requests that fail ----------------------------------------------------------------------------

def is_commit(kind):
    """Of Delta Lake the next entry of a log; of a REST catalog the exchange of a table's metadata."""
    if kind == "delta":
        return lambda method, path: method == "PUT" and re.search(r"/_delta_log/\d{20}\.json$", path)
    return lambda method, path: method == "POST" and re.search(r"/tables/[^/?]+$", path)


def is_upload(method, path):
    return method == "PUT" and path.endswith(".parquet")


REQUESTS = {"lost answer": ("lost",), "5xx, and it was made": (("done", 500), ("done", 503)), "409": (409,),
            "429": (429,), "5xx": (500, 503, 502)}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if number < 2 else long_alone)
                                  for number, name in enumerate(REQUESTS)])
@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_commits(world, kind, name):
    """Lost; refused by 409, 429 and 5xx; refused although made."""
    world.at(kind, "bucket" if kind == "delta" else "rest", maintenance={"enabled": False})
    made = [world.proxy.fault(is_commit(kind), one, every=3, times=-(-TIMES // len(REQUESTS[name])))
            for one in REQUESTS[name]]
    # Three commits a batch, of which each third fails, and comes again.
    world.replay(world.changes(3 * (TIMES + 2)))
    world.judge(name, sum(each.injected for each in made), least=TIMES)


def test_refused_while_it_is_made(world):
    """A bucket refuses the first entries of logs, as where another write of theirs is under way."""
    world.at("delta", "bucket", maintenance={"enabled": False})
    refused = world.proxy.fault(is_commit("delta"), 409, every=1, times=3)
    world.replay(world.changes(3))
    assert refused.injected == 3 and world.compare() == {"lost": 0, "twice": 0, "wrong": 0}


@pytest.mark.parametrize("kind", ["iceberg", pytest.param("delta", marks=long_alone)])
def test_half_an_upload(world, kind):
    world.at(kind, "bucket", maintenance={"enabled": False})
    fault = world.proxy.fault(is_upload, "half", every=3, times=TIMES)
    world.replay(world.changes(6 * TIMES + 12))
    world.judge("half an upload", fault.injected)


# ---- processes -------------------------------------------------------------------------------------

STEPS = ("data", "deletes", "changes", "commit", "committed")


@long_alone
@pytest.mark.parametrize("kind", KINDS)
def test_killed_within_a_commit(world, kind):
    world.at(kind, maintenance={"small_files": 4, "checkpoint_every": 5})
    steps, killed = [step for step in STEPS if kind == "delta" or step != "changes"], 0
    for turn in range(TURNS * 2):
        path = world.changes(12)
        step = f"kill:{steps[turn % len(steps)]}:{world.choose.randrange(1, 6)}"
        killed += world.replay(path, env={"ODS_LAKE_FAULT": step}, expect=None).returncode == -9
    world.replay(world.changes(6))
    world.judge("killed within a commit", killed, least=TURNS)
    if kind == "delta":
        world.compare_feed()


@pytest.mark.parametrize("kind", KINDS)
def test_a_zombie(world, kind):
    """A process stands still before it commits; another one applies the same records and more; it goes on."""
    world.at(kind, maintenance={"enabled": False})
    fenced = turns = 0
    while fenced < TURNS and turns < 4 * TURNS:
        turns += 1
        path = world.changes(12)
        zombie = world.start(path, env={"ODS_LAKE_FAULT": f"wait:commit:{world.choose.randrange(2, 10)}"})
        time.sleep(world.choose.random() / 2)
        other = world.replay(world.changes(6), expect=None)
        _, said = zombie.communicate(timeout=120)
        # Who comes second says so and ends, and has written nothing.
        for code, text in ((zombie.returncode, said), (other.returncode, other.stderr)):
            assert code == Exit.OK or "another writer moves the same offsets" in text, text
            fenced += code != Exit.OK
        world.replay(world.changes(3))
    world.judge("a zombie", fenced, least=TURNS)


# ---- others at the same table ----------------------------------------------------------------------

@pytest.fixture
def second_sink(tmp_path, binary, stack):
    made = Setup(tmp_path / "second", binary, stack)
    yield made
    made.close()


@pytest.mark.parametrize("kind", KINDS)
def test_compacted_meanwhile(world, kind, second_sink):
    """Another process writes other keys into the same tables, and compacts them after each of its commits."""
    world.at(kind, maintenance={"enabled": False}, batch=2)
    world.replay(world.changes(6))
    others = Table(prefix=f"{world.table.prefix}o")
    often = {"enabled": True, "small_files": 2, "deleted_percent": 1, "checkpoint_every": 3}
    settings = {**world.settings, "maintenance": {**often, "snapshots": 20} if kind == "iceberg" else often}
    world.write(second_sink, settings, 2, topic=others.topic, group=f"{world.space}o")
    rows = [row(1000 + number, number) for number in range(max(12, 2 * TIMES))]
    file, said = second_sink.file_of([others.create(each) for each in rows]), []

    def apply():
        said.append(second_sink.run("replay", "-c", second_sink.conf, "--wait", 60, file, timeout_s=1800 if LONG else 120).stderr)

    meanwhile(world, apply)
    world.state |= {each["id"]: each for each in rows}
    # Where nothing was put together a report may say so.
    world.judge("concurrent compaction", len(re.findall(r'"read_files":\s*[1-9]', said[0])))


def meanwhile(world, work, done=None, env=None):
    """Changes come for as long as the other one works. `done` counts what it has done: it gets its turn after each
    of ours, since a library that needs seconds for a commit would never be the first."""
    failed = []

    def guarded():
        try:
            work()
        except BaseException as error:  # pylint: disable=broad-except
            failed.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    while thread.is_alive():
        before = done() if done else 0
        world.replay(world.changes(12), env=env)
        if done:
            wait_for(lambda: done() > before or not thread.is_alive(), 300, "the other one's turn")
    thread.join()
    if failed:
        raise failed[0]


@pytest.mark.parametrize("kind", ["delta", pytest.param("iceberg", marks=long_alone)])
def test_a_foreign_writer(world, kind):
    """Rows that the format's own library appends are found by their keys, and nobody's commit is lost."""
    world.at(kind, maintenance={"enabled": False}, batch=2)
    world.replay(world.changes(6))
    rows = []

    def append():
        while len(rows) < TIMES:
            each = row(1000 + len(rows), len(rows))
            if world.foreign("append", rows=[each]):
                rows.append(each)

    meanwhile(world, append, done=lambda: len(rows))
    world.state |= {each["id"]: each for each in rows}
    # Then they change as others do.
    changed = [world.table.update(None, row(each["id"], 7)) for each in rows]
    world.sent += changed
    world.state |= {each["id"]: row(each["id"], 7) for each in rows}
    world.replay(world.changes(3))
    world.judge("a foreign writer", len(rows))


def test_optimized_meanwhile(world):
    """delta-rs puts files together, those too that have rows which are deleted."""
    world.at("delta", maintenance={"enabled": False}, batch=2)
    world.replay(world.changes(12))
    optimized = 0

    def optimize():
        nonlocal optimized
        while optimized < TIMES:
            optimized += world.foreign("optimize")

    meanwhile(world, optimize, done=lambda: optimized)
    world.replay(world.changes(6))
    world.judge("foreign compaction", sum(upto is None for upto, _ in world.versions()) - 1)
    world.compare_feed()


@pytest.mark.parametrize("kind", KINDS)
def test_overwritten_meanwhile(world, kind):
    """The format's own library puts other rows in place of all: of each row the last one to write it counts, as in any
    table, and no record is applied twice or left out."""
    world.at(kind, maintenance={"enabled": False}, batch=2)
    world.replay(world.changes(12))
    rows, overwritten = [row(number, -number) for number in range(0, 60, 3)], 0

    def overwrite():
        nonlocal overwritten
        while overwritten < TIMES:
            overwritten += world.foreign("overwrite", rows=rows)

    meanwhile(world, overwrite, done=lambda: overwritten)
    world.replay(world.changes(6))
    world.state = world.played(rows)
    assert any(number >= 40 for number in world.state), "others' rows are among them"
    world.judge("foreign overwrite", overwritten)


@pytest.mark.parametrize("kind", KINDS)
def test_expired_meanwhile(world, kind):
    """All versions but the newest expire by others' hands, while answers are lost: who is behind reads anew."""
    world.at(kind, maintenance={"enabled": False}, batch=2)
    world.replay(world.changes(6))
    expired = 0

    def expire():
        nonlocal expired
        while expired < TIMES:
            expired += world.foreign("expire")

    meanwhile(world, expire, done=lambda: expired, env={"ODS_LAKE_FAULT": "lost:commit:2;lost:commit:5"})
    world.judge("expired snapshots", expired)


# ---- what is old goes ------------------------------------------------------------------------------

OFTEN = {"small_files": 4, "deleted_percent": 5, "checkpoint_every": 1, "lease": "0s", "busy_percent": 100}
KILLED = size("LAKE_AGED", 1, 20)


class Appended(threading.Thread):
    """Rows that the format's own library appends while a block runs."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.rows, self.slowest_s, self.failed, self.over = world, [], 0, None, threading.Event()

    def once(self):
        each = row(1000 + len(self.rows), len(self.rows))
        if self.world.foreign("append", rows=[each]):
            self.rows.append(each)

    def run(self):
        while not self.over.wait(0.1) and not self.failed:
            begun = time.monotonic()
            try:
                self.once()
            except AssertionError as error:
                self.failed = error
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def deleted(log):
    """How often files went by a vacuum, and versions by their age."""
    return [sum(int(count) > 0 for count in re.findall(form, log))
            for form in (r'"vacuumed":\{[^}]*"files":(\d+)', r'"expired":(\d+)')]


def aged(world, kafka, kept_ms):
    """All that is written under load, while what is older than this goes at each turn and the daemon is killed; and how
    often it went. None: a commit of others took so long that its files may have gone, as they do when that is more than
    `vacuum`."""
    kafka.create(world.table.topic, 1)
    world.write(world.sink, world.settings, 20, kafka=True, kafka_properties={
        "session.timeout.ms": "1000", "heartbeat.interval.ms": "200"})
    counts = [0, 0]
    daemon = world.sink.daemon(env={"ODS_LAKE_KEPT_MS": str(kept_ms)})
    kafka.produce(world.more(20))
    daemon.await_that(lambda: daemon.metric("ods_sink_lake_commits_total") == 2, what="the tables are there")
    others = Appended(world)
    others.once()  # loads the library, while nothing is maintained
    with others:
        for _ in range(KILLED):
            while not all(deleted(daemon.log())):
                kafka.produce(world.more(10))
                assert not others.failed or others.slowest_s * 2000 > kept_ms, others.failed
            time.sleep(world.choose.random() / 5)
            daemon.kill()
            counts = [sum(each) for each in zip(counts, deleted(daemon.log()))]
            daemon = world.sink.daemon(env={"ODS_LAKE_KEPT_MS": str(kept_ms)})
    if others.slowest_s * 2000 > kept_ms:
        daemon.kill()
        return None
    assert others.rows[1:]
    world.state |= {each["id"]: each for each in others.rows}
    # By the last commit all goes but what is now; of the others' rows the keys are known.
    daemon.stop()
    daemon = world.sink.daemon(env={"ODS_LAKE_KEPT_MS": "0"})
    last = [row(each["id"], 7) for each in others.rows]
    kafka.produce(made := [world.table.update(None, each) for each in last])
    world.sent += made
    world.state |= {each["id"]: each for each in last}
    daemon.await_that(lambda: len(world.sent) in [
        part["applied"] for lane in json.loads(daemon.get("/status")[1] or '{"lanes": []}')["lanes"]
        for part in lane["partitions"]])
    daemon.stop()
    return counts


@pytest.mark.parametrize("kind", ["delta", pytest.param("iceberg", marks=long_alone)])
def test_what_is_old_goes_under_load(world, kafka, kind):
    """A daemon that puts together, expires and vacuums after each commit is killed, while the format's own library
    appends: what a version names that is left stays, and all else goes."""
    for kept_ms in (1500, 8000, 60000):
        found = world.anew(f"k{kept_ms}").at(kind, maintenance=OFTEN | ({"keep_for": "0s"} if kind == "iceberg" else {}))
        counts = aged(found, kafka, kept_ms)
        if counts:
            break
    else:
        pytest.fail("a commit of one row takes half a minute here")
    found.judge("expired and vacuumed", KILLED, least=KILLED)
    for name in ("items", "items_cdc"):
        place = found.folder / "lake" / found.space / name
        named = {str(Path(file).relative_to(place)) for file in found.reader.ask("files", place)}
        there = {str(path.relative_to(place)) for path in place.rglob("*.parquet")
                 if not str(path.relative_to(place)).startswith(("_delta_log", "_change_data"))}
        if kind == "delta":
            assert there == named
            versions = sorted(int(path.stem) for path in (place / "_delta_log").glob("?" * 20 + ".json"))
            assert versions[0] > 0 and len(versions) < 10, "the log was expired"
            continue
        described = found.reader.ask("iceberg_described", place)
        assert named <= there and len(there) == len(named) + described["deletes"]
        assert len(described["snapshots"]) == 1, "all others were expired"
