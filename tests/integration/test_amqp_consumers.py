"""Several processes that read one queue: one at a time, or merged by the source's position."""

import itertools
import os
import random

import pytest
from lib.amqp import Broker, text_message
from lib.records import Table, pipeline, row
from lib.sink import Exit, free_port


@pytest.fixture(scope="module")
def broker(stack):
    os.environ.setdefault("ODS_STACK_ARTEMIS_SYNC", "false")  # machines are not killed here
    stack.up("postgres", "artemis")
    return Broker(stack)


class Placed(Table):
    """Changes that say where they are in the source's log."""

    def __init__(self, how="file", **more):
        super().__init__(**more)
        self.how, self._places = how, itertools.count(1000)

    def _source(self, ts_ms):
        place = next(self._places)
        source = super()._source(ts_ms)
        if self.how == "scn":
            source = {**source, "connector": "oracle", "schema": "SHOP", "scn": str(place)}
        return {name: value for name, value in source.items() if name not in ("file", "pos", "row")} \
            if self.how != "file" else {**source, "file": "bin.000009" if place < 1200 else "bin.000010",
                                        "pos": place % 1200}


class Queue:
    def __init__(self, sink, broker, address, database):
        self.sink, self.broker, self.address, self.database = sink, broker, address, database
        self.number = 0

    def daemon(self, consumers, target=None, **more):
        """A process of the pipeline, with an HTTP port of its own."""
        self.sink.http_port = free_port()
        ods = {"name": "ods", "type": "postgres", "dsn": self.database.dsn}
        self.sink.write(
            {**pipeline("x", name="items"), "topics": [self.address],
             "defaults": {"key": ["id"], "on_delete": "hard"},
             "input": {"type": "amqp", "consumers": consumers, "credit": 8}},
            targets=[target or ods], amqp=[self.broker.settings()], batch={"max_events": 5},
            http={"listen": f"127.0.0.1:{self.sink.http_port}"}, dead_letter={"table": "letters"}
            if not target else {}, **more)
        if target:
            return None
        daemon = self.sink.daemon()
        daemon.port = self.sink.http_port
        daemon.await_that(lambda: daemon.get("/healthz")[0], what="it has read its configuration")
        return daemon

    def metric(self, daemon, name):
        self.sink.http_port = daemon.port
        return daemon.metric(name) or 0

    def send(self, records):
        messages = []
        for record in records:
            self.number += 1
            messages.append(text_message(record["payload"], f"m-{self.number}"))
        self.broker.blast_messages(self.address, messages)

    def drained(self):
        return self.broker.count(self.address) == 0


@pytest.fixture
def queue(sink, broker, prefix, database):
    return Queue(sink, broker, prefix, database)


def test_one_reads_and_another_stands_by(queue):
    table = Placed()
    first = queue.daemon("one").await_ready()
    queue.send([table.create(row(number)) for number in range(20)])
    first.await_that(queue.drained, what="the first part")
    second = queue.daemon("one")
    second.await_that(lambda: "this one stands by" in second.log(), what="it stands by")
    queue.send([table.create(row(number)) for number in range(20, 40)])
    first.await_that(queue.drained, what="the second part")
    assert "this one stands by" not in first.log()
    first.kill()
    queue.send([table.create(row(number)) for number in range(40, 60)])
    second.await_that(queue.drained, what="the third part")
    second.stop()
    assert queue.database.count("items") == 60


@pytest.mark.parametrize("how", ["file", "scn"])
def test_merged_by_position(queue, how):
    """Two processes share the changes of a few rows out; in the end each row is as its last change says,
    and it has never gone back."""
    table, choose = Placed(how), random.Random(7)
    count = [0] * 4
    records = [table.create(row(key)) for key in range(4)]
    for _ in range(400):
        key = choose.randrange(4)
        records.append(table.update(row(key, count[key]), row(key, count[key] + 1)))
        count[key] += 1
    gone = table.delete(row(3, count[3]))
    records.append(gone)
    daemons = [queue.daemon("merged"), queue.daemon("merged")]
    for daemon in daemons:
        daemon.await_that(lambda: "connected to" in daemon.log(), what="it is connected")
    queue.send(records[:-1])
    seen = {}

    def rises():
        if queue.database.exists("items"):
            for key, amount in queue.database.execute("select id, amount from items"):
                assert amount >= seen.get(key, 0), "a row went back"
                seen[key] = amount
        return queue.drained()

    daemons[0].await_that(rises, what="all of them settled")
    assert queue.database.execute("select id, amount from items order by id") == list(enumerate(count))
    both = [queue.metric(daemon, "ods_sink_records_total") for daemon in daemons]
    assert min(both) > 0, both
    queue.send([gone, records[3], *random.Random(8).sample(records[4:-1], 30)])
    daemons[0].await_that(queue.drained, what="what is older than the last ones")
    for daemon in daemons:
        daemon.stop()
    assert queue.database.execute("select id, amount from items order by id") == list(enumerate(count))[:3]
    assert queue.database.count("ods_sink.letters") in (-1, 0)


def test_what_can_not_be_merged(queue, endpoint_folder):
    table = Placed("nothing")
    daemon = queue.daemon("merged")
    queue.send([table.create(row(1))])
    daemon.await_that(queue.drained, what="it is settled")
    daemon.stop()
    assert "does not say where" in queue.database.value("select error from ods_sink.letters")
    queue.daemon("merged", target={"name": "ods", "type": "file", "directory": str(endpoint_folder)})
    refused = queue.sink.check(expect=Exit.CONFIG)
    assert "can't put the changes of several consumers in order" in refused.stderr + refused.stdout


@pytest.fixture
def endpoint_folder(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder
