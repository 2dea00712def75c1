"""What every target keeps to: each property is one test, which runs on each of them.

A target's part is a class in targets/. At its end a test says what held, in the words of its cell of the
matrix; where the guarantee is at least once that is what it promises then. Nothing is skipped but delta and iceberg
where the lake engine is not built, since no Rust is there, and, in a short run, what is slow of all but one of those
that are alike.
"""

import copy
import json
import os
import random
import re
import time

import pytest
from conftest import build
from confluent_kafka import Consumer, TopicPartition
from lib.mysql_target import Server
from lib.records import pipeline
from lib.sink import read_lines
from lib.size import left_out, size
from lib.under_unit import under_unit

import matrix
from targets import TARGETS
from targets.target import FATAL, OUTAGE, ROW, UNAVAILABLE, Items, events_of

PARTITIONS = 2
SOON = {"session.timeout.ms": "2000", "heartbeat.interval.ms": "300"}  # a dead member is missed
SOONER = {"session.timeout.ms": "1000", "heartbeat.interval.ms": "200"}
MIB = 1024 * 1024
OURSELVES = 28 * MIB  # the program, its libraries, threads, connections
SEED = int(os.environ.get("ODS_TEST_SEED") or random.randrange(10**9))
SLOW = ("test_outage", "test_killed", "test_fenced", "test_resumed", "test_faults", "test_memory")
ALIKE = ("mysql", "mariadb"), ("kafka", "kafka-elsewhere", "kafka-avro"), ("delta", "iceberg")
LEFT_OUT = left_out(SEED, *ALIKE)


@pytest.fixture(scope="session")
def servers():
    """A function that answers the server of a flavour, started when it is first asked for."""
    started = {}

    def server(flavour):
        if flavour not in started:
            started[flavour] = Server(flavour)
        return started[flavour]

    yield server
    for one in started.values():
        one.close()


@pytest.fixture(params=TARGETS)
def target(request):
    if request.param in LEFT_OUT and request.function.__name__ in SLOW:
        pytest.skip(f"its like has its turn in this run (ODS_TEST_SEED={SEED})")
    made = TARGETS[request.param](request)
    yield made
    made.close()


@pytest.fixture
def tested(request, target):
    """A function that says what held: the test's last word."""
    def say(text):
        matrix.CELLS[property_of(request.function), target.name] = text
    return say


def property_of(test):
    return test.__doc__.split("\n")[0].rstrip(".")


def row(number, amount=0, **values):
    return {"id": number, "name": f"n{number}", "amount": amount, **values}


def configure(target, kafka=False, **settings):
    """One pipeline of both tables into the target."""
    moved = pipeline(rf"^{target.prefix}\.shop\..*", lanes=1, defaults={
        "on_delete": "hard", "keyless": "append", "cdc_operation": "off", "cdc_timestamp": "off"},
        tables={"items": {}})
    target.sink.write(moved, kafka=kafka, bootstrap=target.bootstrap,
                      targets=[{"name": "ods", **target.settings()}], **settings)


@pytest.fixture
def items(target):
    """The table, and a configuration for replays."""
    configure(target)
    return Items(target.prefix)


@pytest.fixture
def load(target, request):
    return Load(target, request.getfixturevalue("kafka"))


class Load:
    """Rows and events through Kafka, and what the target must show in the end."""

    def __init__(self, target, kafka):
        self.target, self.kafka = target, kafka
        target.load = self
        self.items, self.all_events = Items(target.prefix), events_of(target.prefix)
        self.rows, self.events = {}, []
        self.letter_topic = f"{target.prefix}-letters"
        for table in (self.items, self.all_events):
            kafka.create(table.topic, PARTITIONS)
        kafka.create(self.letter_topic, 1)
        self.configure()

    def configure(self, **settings):
        configure(self.target, kafka=True, dead_letter={"topic": self.letter_topic},
                  **{"batch": {"max_events": 20}, "kafka_properties": SOON, **settings})

    def make(self, count, **values):
        records = []
        for number in range(len(self.rows), len(self.rows) + count):
            before, place = row(number, **values), {"partition": number % PARTITIONS}
            self.rows[number] = row(number, number % 1000, **values)
            self.events.append(number)
            records += [self.items.create(before, **place), self.all_events.create({"n": number}, **place),
                        self.items.update(before, self.rows[number], **place)]
        return records

    def more(self, count, **values):
        self.before = self.target.count()
        self.kafka.produce(self.make(count, **values))

    def complete(self):
        return self.target.rows() == self.rows and set(self.target.events()) == set(self.events)

    def await_some(self, daemon):
        """Of the last ones."""
        daemon.await_that(lambda: self.target.count() > self.before, what="some of it is applied")

    def await_all(self, daemon):
        daemon.await_that(self.complete, 120, lambda: f"{self.target.count()} of {3 * len(self.rows)}")

    def nothing_is_wrong(self):
        """Nothing lost, nothing a letter; what came twice is as the guarantee says: in the words of a
        cell."""
        assert self.complete() and not self.kafka.read(self.letter_topic)
        twice = self.target.twice()
        if self.target.exact:
            assert not twice, f"{twice} came twice"
            return "exact"
        return "at least once"


# ---- what becomes of changes ------------------------------------------------------------------------

def test_same_batch(target, items, tested):
    """The same batch twice is the same state."""
    records = [items.create(row(number)) for number in range(20)]
    records += [items.update(row(3), row(3, 5)), items.delete(row(4))]
    target.replay(records)
    before, marks = target.rows(), target.marks()
    assert len(before) == 19 and before[3] == row(3, 5)
    again = target.replay(records)
    assert target.rows() == before
    if target.stores:
        assert again["skipped"] == len(records) and target.marks() == marks
        tested("written once")
    else:
        assert target.twice() == len(records)
        tested("again, same name")


def test_delete_first(target, items, tested, tmp_path):
    """A delete before the insert."""
    letters = tmp_path / "letters.jsonl"
    target.replay([items.delete(row(1)), items.tombstone(row(1)), items.create(row(1, 7)),
                   items.delete(row(2))], letters)
    assert target.rows() == {1: row(1, 7)} and no_letters(letters)
    tested("there")


def test_created_again(target, items, tested):
    """A delete, and the row made again."""
    in_one_batch = [items.create(row(1)), items.delete(row(1)), items.tombstone(row(1)),
                    items.create(row(1, 2))]
    target.replay(in_one_batch)
    assert target.rows() == {1: row(1, 2)}
    target.replay([items.delete(row(1, 2)), items.tombstone(row(1))])
    assert target.rows() == {}
    target.replay([items.create(row(1, 3))])
    assert target.rows() == {1: row(1, 3)}
    tested("the last one")


def test_key_change(target, items, tested):
    """A change of the key."""
    target.replay([items.create(row(1, 1)), items.create(row(2, 2))])
    target.replay([*items.move(row(1, 1), row(7, 1)), items.update(row(7, 1), row(7, 8))])
    assert target.rows() == {7: row(7, 8), 2: row(2, 2)}
    target.replay(items.move(row(7, 8), row(1, 8)) + items.move(row(1, 8), row(9, 8)))
    assert target.rows() == {9: row(9, 8), 2: row(2, 2)}
    tested("new key alone")


def test_absent(target, items, tested):
    """Absent is not NULL."""
    target.replay([items.create(row(1, 1)), items.create(row(2, 2))])
    target.replay([items.update(None, {**row(1, 5), "name": UNAVAILABLE}),
                   items.update(None, {**row(2, 6), "name": None})])
    assert target.rows() == {1: row(1, 5), 2: {**row(2, 6), "name": None}}
    tested("stays" if target.tables else target.absent)


def no_letters(path):
    return not path.exists() or not read_lines(path)


def letters_of(path):
    """offset: the error's code and text."""
    found = {}
    for letter in read_lines(path):
        notes = dict(zip(letter["headers"][::2], letter["headers"][1::2]))
        found[letter["offset"]] = f"{notes.get('ods.code', '')} {notes['ods.error']}"
    return found


def test_poisoned(target, items, tested, tmp_path):
    """A poisoned change."""
    letters = tmp_path / "letters.jsonl"
    refused = target.refused()
    records = [items.create(row(number)) for number in range(10)]
    records += [items.unreadable(20), items.record(items.tombstone(row(21))["key"], '{"payload": {"op":')]
    if refused:
        records.append(items.create(row(22, **refused[0])))
    bad = {record["offset"] for record in records[10:]}
    records += [items.create(row(number)) for number in range(10, 20)]
    target.replay(records, letters)
    assert target.rows() == {number: row(number) for number in range(20)}
    found = letters_of(letters)
    assert found.keys() == bad, found
    if refused:
        assert refused[1] in found[records[12]["offset"]]
    tested("letter, others applied")


# ---- what fails -------------------------------------------------------------------------------------

def test_outage(target, load, tested):
    """An outage in the middle."""
    daemon = target.daemon().await_ready()
    load.more(60)
    load.await_some(daemon)
    target.cut()
    load.more(100)
    if target.waits == "retry":
        daemon.await_that(lambda: waits(target, daemon, "target ods"), what="status says for what it waits")
    else:
        still = target.count()
        daemon.await_that(lambda: lag(daemon) > 0, what="records wait")
        assert target.count() - still < len(load.rows) * 3
    assert not load.complete()
    target.heal()
    load.await_all(daemon)
    daemon.stop()
    tested(load.nothing_is_wrong())


def waits(target, daemon, said):
    return any(target.is_waiting(lane, said) for lane in status(daemon)["lanes"])


def lag(daemon):
    return daemon.metric("ods_sink_partition_lag_records") or 0


def status(daemon):
    return json.loads(daemon.get("/status")[1])


def test_killed(target, load, tested):
    """Killed in the middle."""
    in_the_middle, changes = 0, 150
    load.configure(kafka_properties=SOONER)
    daemon = target.daemon()
    while in_the_middle < size("CONTRACT_KILLS", 2, 12) and changes < 20_000:
        load.more(changes)
        load.await_some(daemon)
        daemon.kill()
        if load.complete():
            changes *= 2  # it came too late
        else:
            in_the_middle += 1
        daemon = target.daemon()
    load.await_all(daemon)
    daemon.await_ready().stop()
    assert in_the_middle, "each kill came too late"
    tested(load.nothing_is_wrong())


def test_fenced(target, load, tested):
    """Fenced by a second writer."""
    tested(target.second_writer(load))


def test_resumed(target, load, tested):
    """Offsets are resumed."""
    load.more(50)
    daemon = target.daemon()
    load.await_all(daemon)
    daemon.await_ready().stop()
    marks = target.marks()
    if target.stores:
        forget_in_kafka(target, load)
    load.more(50)
    daemon = target.daemon()
    load.await_all(daemon)
    daemon.await_ready().stop()
    assert load.nothing_is_wrong() and not target.twice()
    assert target.kept(marks)
    tested("the target's" if target.stores else "the source's")


def forget_in_kafka(target, load):
    """The group's offsets are back at the beginning."""
    places = [TopicPartition(table.topic, number, 0) for table in (load.items, load.all_events)
              for number in range(PARTITIONS)]
    consumer = Consumer({"bootstrap.servers": load.kafka.bootstrap, "group.id": target.group})
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()


def test_faults(target, load, tested, tmp_path):
    """Its faults are told apart, by code."""
    told = {ROW: [], OUTAGE: [], FATAL: []}
    for fault in target.faults():
        told[fault.kind].append(fault)
    assert told[ROW] and bool(told[FATAL]) == target.ends
    assert told[OUTAGE] or target.waits == "stands"
    outages(target, load, told[OUTAGE])
    configure(target)
    of_rows(target, told[ROW], tmp_path / "letters.jsonl")
    fatal(target, told[FATAL])
    tested("; ".join(f"{kind}: {', '.join(fault.text for fault in faults)}"
                     for kind, faults in told.items() if faults))


def outages(target, load, faults):
    """A lane waits for the end of each; then the record is applied, and none is a letter."""
    daemon = target.daemon().await_ready()
    for fault in faults:
        fault.begin()
        load.more(1)
        daemon.await_that(lambda said=fault.says: waits(target, daemon, said), 30,
                          lambda text=fault.text: f"{text} is an outage: {status(daemon)['lanes']}")
        assert not load.complete()
        fault.end()
        load.await_all(daemon)
    daemon.stop()
    assert not load.kafka.read(load.letter_topic)


# Of replays: places that no other record of the test has.
REPLAYED = {"partition": PARTITIONS}


def of_rows(target, faults, letters):
    """A letter each, and the next record is applied."""
    items = Items(target.prefix)
    records = [of_columns(items, fault.columns).create(fault.row, **REPLAYED) for fault in faults]
    target.replay([*records, items.create(row(100), **REPLAYED)], letters)
    found = letters_of(letters)
    for fault, record in zip(faults, records):
        assert fault.says in found[record["offset"]], (fault.text, found)
    assert len(found) == len(faults) and target.rows()[100] == row(100)


def of_columns(table, columns):
    """The same table when some of its columns were others: of one topic."""
    other = copy.copy(table)
    other.columns = {**table.columns, **columns}
    return other


def fatal(target, faults):
    """It ends at once, though it may wait for an hour; the record is applied when it is mended."""
    items = Items(target.prefix)
    for number in range(50):
        items.create(row(number), **REPLAYED)  # offsets that were not there yet
    for number, fault in enumerate(faults, 200):
        record = items.create(row(number), **REPLAYED)
        fault.begin()
        said = target.replay_fails([record])
        fault.end()
        assert fault.says in said, f"{fault.text} is fatal: {said}"
        target.replay([record])
        assert target.rows()[number] == row(number)


def test_memory(target, load, tested, report):
    """Memory stays within the ceiling while the target is away."""
    target.apart()
    target.sink.binary = build("release")
    load.configure(batch={"max_bytes": MIB // 4}, kafka_properties={"queued.max.messages.kbytes": "4096"})
    ceiling = int(re.search(r"at most (\d+) MiB", target.sink.check().stdout).group(1)) * MIB
    daemon = target.daemon()
    load.more(1)
    load.await_all(daemon)
    target.cut()
    load.more(size("CONTRACT_ROWS", 350, 3000), name="x" * 40_000)
    daemon.await_that(lambda: lag(daemon) > 0, what="records wait")
    still = [0, 0]
    daemon.await_that(lambda: is_still(daemon, still), what="it takes no more")
    target.heal()
    daemon.await_that(lambda: daemon.metric("ods_sink_partition_offset") == 3 * len(load.rows), 120,
                      "all of it is applied")
    load.await_all(daemon)
    peak = daemon.peak_rss_bytes()
    daemon.stop()
    report(f"peak {peak // MIB} MiB, ceiling {ceiling // MIB} MiB and the program's own")
    assert peak < ceiling + OURSELVES, f"{peak // MIB} MiB, ceiling {ceiling // MIB} MiB"
    load.nothing_is_wrong()
    tested("within")


def is_still(daemon, still):
    """Its memory has not grown for a second."""
    peak = daemon.peak_rss_bytes()
    if peak != still[0]:
        still[:] = peak, time.monotonic()
    return time.monotonic() - still[1] > 1


def test_rights(target, load, tested):
    """`check --connect` names missing rights."""
    target.sink.check("--connect")
    words = target.without_rights()
    if words is None:
        tested("there are none to be missing")
        return
    done = target.sink.check("--connect", expect=target.lacks)
    for word in words:
        assert word in done.stdout + done.stderr, (word, done.stdout + done.stderr)
    tested(target.rights)


def test_confined(target, items, tested, tmp_path):
    """Under the unit's system calls.

    Its release: the sanitizers want more than the unit allows."""
    target.sink.binary = under_unit(tmp_path, build("release"))
    target.replay([items.create(row(1, 1)), items.create(row(2, 2))])
    target.replay([items.update(row(1, 1), row(1, 5)), items.delete(row(2, 2)), items.tombstone(row(2))])
    assert target.rows() == {1: row(1, 5)}
    tested("all of it")


def test_the_page(report, request):
    """The matrix is printed, and the page has it as it was found."""
    tests = [value for name, value in globals().items() if name.startswith("test_") and name !=
             "test_the_page"]
    properties = [property_of(test) for test in tests]
    whole = matrix.CELLS.keys() == {(name, target) for name in properties for target in TARGETS}
    if whole:
        table = matrix.render(properties, TARGETS, matrix.CELLS)
        report("\n" + "\n".join(table))
        if os.environ.get("ODS_DOCS_REGENERATE") == "1":
            matrix.write(table)
    page = matrix.on_the_page(matrix.PAGE.read_text())
    assert {cell: page.get(cell) for cell in matrix.CELLS} == matrix.CELLS, \
        "ODS_DOCS_REGENERATE=1 writes it anew"
    assert page.keys() == {(name, target) for name in properties for target in TARGETS}
