"""The Kafka target in Avro while its registry fails in the middle of a load whose table gets columns: each of them
is a schema that has to be registered before its first record. Who reads committed records counts each change once,
in the order of its key.
"""

import copy
import json
import threading
import time

import pytest

from lib.avro import Schemas
from lib.avro_reader import Reader
from lib.committed import read_committed
from lib.records import INT, TEXT, Table, pipeline, row
from lib.registry import Registry
from lib.size import size
from lib.waiting import wait_for
from test_kafka_target_faults import PARTITIONS, Load, check_once

SOON = {"session.timeout.ms": "1000", "heartbeat.interval.ms": "200"}


class Growing(Table):
    """A table that has a column more after so many records."""

    def __init__(self, every, **settings):
        super().__init__(**settings)
        self.every, self.made = every, 0

    def create(self, row, **place):
        self.made += 1
        if self.made % self.every == 0:
            self.columns = {**self.columns, f"more{len(self.columns)}": INT}
        return super().create(row, **place)


@pytest.fixture
def registry():
    registry = Registry(Schemas())
    yield registry
    registry.stop()


@pytest.fixture
def world(sink, kafka, registry, prefix):
    """The configuration of one pipeline into one topic, and what stands there."""
    class World:
        table = Growing(500, prefix=prefix)
        out, letters = f"{prefix}-out", f"{prefix}-letters"
        reader = Reader(lambda number: registry.schemas.by_id[number]["schema"])

        def configure(self, topics=table.topic, timeout_ms=1000, **settings):
            sink.write(pipeline(topics, lanes=2), kafka=True, kafka_properties=SOON, **settings,
                       dead_letter={"topic": self.letters}, targets=[
                           {"name": "ods", "type": "kafka", "topic": self.out, "encoding": "avro",
                            "subject": "topic_record", "transaction_timeout_ms": 2000,
                            "registry": {"url": registry.url, "timeout_ms": timeout_ms}}])
            return sink.daemon()

        def read(self):
            """(partition, row) of each record."""
            return [(record.partition, self.reader.read(record.value)["after"])
                    for record in read_committed(kafka.bootstrap, self.out, raw=True)]

        def count(self):
            return len(read_committed(kafka.bootstrap, self.out, raw=True))

        def read_letters(self):
            return read_committed(kafka.bootstrap, self.letters)

    kafka.create(World.table.topic, PARTITIONS)
    kafka.create(World.out, PARTITIONS)
    kafka.create(World.letters, 1)
    yield World()
    World.reader.close()


@pytest.fixture
def load(kafka, world):
    load = Load(kafka, world.table)
    load.start()
    yield load
    load.over.set()
    load.join()


def await_more(world, daemon, count=100):
    before = world.count()
    daemon.await_that(lambda: world.count() >= before + count, what="it goes on")


def finish(world, load, daemon):
    """Nothing is lost, nothing twice, nothing a letter."""
    load.end()
    wait_for(lambda: world.count() >= load.count, 120, daemon.tail)
    daemon.stop()
    check_once(world.read(), load.count)
    assert not world.read_letters()


def test_outages_of_the_registry(world, load, registry, report):
    """The lanes wait for it in sight, stay members of their group, and write nothing meanwhile."""
    daemon = world.configure().await_ready()
    for begin, said in ((registry.stop, "registry http://"),
                        (lambda: setattr(registry, "status", 503), "HTTP 503"),
                        (lambda: setattr(registry, "answers", lambda subject: False), "without an answer")):
        await_more(world, daemon)
        begin()
        daemon.await_that(lambda said=said: {(lane["state"], said in (lane["last_error"] or ""))
                                             for lane in lanes(daemon)} == {("waiting", True)},
                          what=lambda: f"both lanes wait: {lanes(daemon)}")
        still, joined = world.count(), daemon.metric("ods_sink_rebalances_total")
        time.sleep(2 * int(SOON["session.timeout.ms"]) / 1000)
        assert world.count() == still and daemon.metric("ods_sink_rebalances_total") == joined
        registry.status, registry.answers = 0, lambda subject: True
        registry.start()
    await_more(world, daemon)
    finish(world, load, daemon)
    report(f"{load.count} records, {len(registry.subjects[subject_of(world)])} schemas, each once")


def lanes(daemon):
    return json.loads(daemon.get("/status")[1])["lanes"]


def subject_of(world):
    return f"{world.out}-items.shop.items.Envelope"


def test_killed_while_a_schema_is_being_registered(world, load, registry, report):
    """Before the registry has taken note of it and behind that; the next process asks again, and gets its id."""
    kills = size("AVRO_KILLS", 2, 40)
    for turn in range(kills):
        came, killed = threading.Event(), threading.Event()

        def stands_still(*_, came=came, killed=killed):
            came.set()
            killed.wait(60)

        daemon = world.configure(timeout_ms=60_000).await_ready()
        await_more(world, daemon)
        if turn % 2:
            registry.answers = stands_still
        else:
            registry.refuses = stands_still
        try:
            daemon.await_that(came.is_set, what="a schema is being registered")
            daemon.kill()
        finally:
            registry.answers, registry.refuses = lambda subject: True, lambda subject, schema: None
            killed.set()
    daemon = world.configure().await_ready()
    await_more(world, daemon)
    finish(world, load, daemon)
    schemas = registry.subjects[subject_of(world)]
    assert len(set(schemas)) == len(schemas) > kills
    report(f"{load.count} records through {kills} kills, {len(schemas)} schemas, each once")


def test_told_to_end_while_the_registry_is_silent(world, load, registry):
    """A question that is not answered does not keep the process from its end, and what it was asked for is
    written by the next one."""
    released = threading.Event()
    daemon = world.configure(timeout_ms=60_000, shutdown_timeout_ms=1000).await_ready()
    await_more(world, daemon)
    asked = len(registry.told)
    registry.answers = lambda subject: released.wait(60) and False
    try:
        daemon.await_that(lambda: len(registry.told) > asked, what="a question")
        daemon.stop(timeout_s=20)
    finally:
        registry.answers = lambda subject: True
        released.set()
    assert daemon.gave_up()
    finish(world, load, world.configure().await_ready())


def test_partitions_are_given_up_while_the_registry_is_silent(sink, world, load, registry):
    """Another process of the group gets its share although the first one waits for an answer."""
    released = threading.Event()
    first = world.configure(timeout_ms=60_000, http={"listen": ""})
    await_more(world, first)
    asked = len(registry.told)
    registry.answers = lambda subject: released.wait(60) and False
    try:
        first.await_that(lambda: len(registry.told) > asked, what="a question")
        registry.answers = lambda subject: True  # whoever asks from now on hears it
        second = sink.daemon()
        await_more(world, second, 300)
    finally:
        released.set()
    second.stop()
    finish(world, load, first)


def test_a_schema_that_is_refused(sink, kafka, world, registry, prefix, report):
    """The changes of its table are letters that say why, also of a process that is killed among them; those
    of another table go on. When the subject takes it, the letters are replayed."""
    other = Table("orders", prefix=prefix)
    changed = copy.copy(world.table)
    changed.every, changed.columns = 10**9, {**world.table.columns, "amount": TEXT}
    kafka.create(other.topic, PARTITIONS)

    def refuses(_subject, schema):
        before = next((field["type"] for field in json.loads(schema)["fields"] if field["name"] == "before"), None)
        types = {field["name"]: field["type"] for field in before[1]["fields"]} if before else {}
        return (409, 409) if "string" in types.get("amount", ()) else None

    def send(numbers):
        kafka.produce([each for number in numbers for each in (
            changed.create({**row(number), "amount": f"x{number}"}, partition=number % PARTITIONS),
            other.create(row(number), partition=number % PARTITIONS))])

    def rows_of(what):
        return sorted(after["id"] for _, after in world.read() if isinstance(after["amount"], what))

    def places():
        return [tuple(letter.headers[f"ods.{name}"] for name in ("topic", "partition", "offset"))
                for letter in world.read_letters()]

    registry.refuses = refuses
    total = 0
    for _ in range(2):
        daemon = world.configure(rf"^{prefix}\.shop\..*")
        send(range(total, total + 150))
        total += 150
        daemon.await_that(lambda: len(places()) > total - 140, what="some letters")
        daemon.kill()
    daemon = world.configure(rf"^{prefix}\.shop\..*").await_ready()
    daemon.await_that(lambda: len(set(places())) == total and len(rows_of(int)) == total,
                      what=lambda: f"{len(set(places()))} letters, {len(rows_of(int))} rows")
    assert rows_of(int) == list(range(total)) and not rows_of(str)
    why = world.read_letters()[0].headers["ods.error"]
    assert "does not take the schema of table shop.items" in why and "HTTP 409" in why, why
    assert "replay the letters" in why
    registry.refuses = lambda subject, schema: None
    daemon.await_that(lambda: send_one(kafka, changed, world), 40, "the subject is asked again")
    daemon.stop()
    written = len(rows_of(str))
    done = json.loads(sink.run("dlq", "replay", "--force", "--json", "-c", sink.conf).stdout)
    assert done["replayed"] >= total
    assert set(rows_of(str)) >= set(range(total)), "a letter is lost"
    report(f"{total} letters around 2 kills, {len(places()) - len(set(places()))} of them twice, all replayed; "
           f"{written} written by themselves")


def send_one(kafka, table, world):
    """A change more of the table; is one written by now?"""
    kafka.produce([table.create({**row(10**6), "amount": "y"})])
    time.sleep(1)
    return any(after["id"] == 10**6 for _, after in world.read())
