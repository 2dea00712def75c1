"""At every moment that the target calls a derived table fresh it is the join of exactly what stands below the
offsets that are told with it, computed anew from the stream's beginning."""

import json
import os
import random
import threading

import pytest
from lib.amqp import Broker
from lib.derived import Kept, add_derived, await_equal
from lib.generator import Generator, pipeline
from lib.prefix import JOINED, POINTS, ROWS, check_points, records_of
from lib.sink import free_port
from lib.waiting import wait_for

PARTS = 8
VIEW = {"name": "order_view", "key": ["order_id"],
        "query": "select o.order_id, o.customer_id, c.name, c.email, o.sku, p.price, o.amount, o.status from "
                 "orders o join customers c using (customer_id) left join products p using (sku)",
        "depends": {"orders": {"by": ["order_id"]},
                    "customers": {"by": ["customer_id"],
                                  "keys": "select o.order_id from changed join orders o using (customer_id)"},
                    "products": {"by": ["sku"], "keys": "select o.order_id from changed join orders o using (sku)"}}}
COMMON = {"defaults": {"fold": "lower", "on_delete": "hard", "evolve": "full"}}
BY_OFFSETS = ("select fresh_at, jsonb_object_agg(topic, next_offset)::text from ods_sink.derived_freshness "
              "where derived = 'public.order_view' group by 1")
BY_COUNTS = ("select fresh_at, p.counts::text from ods_sink.derived d join points p using (fresh_at) "
             "where d.name = 'public.order_view' limit 1")


class Watch(threading.Thread):
    """Keeps each new moment that it sees, with the table in the same snapshot."""

    def __init__(self, database, sql):
        super().__init__(daemon=True)
        self.connection, self.sql = database.connect(), sql
        self.connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
        self.points, self.done, self.failure = [], threading.Event(), None

    def run(self):
        last = None
        try:
            while not self.done.wait(random.random() / 50):
                with self.connection.cursor() as cursor:
                    cursor.execute(self.sql)
                    found = cursor.fetchone()
                    if found and found[1] and found[0] != last:
                        cursor.execute(ROWS)
                        self.points.append((found[1], cursor.fetchall()))
                        last = found[0]
                self.connection.rollback()
        except Exception as failure:  # shown by the test
            self.failure = failure
        finally:
            self.connection.close()


@pytest.mark.parametrize("source", ["file", "queues"])
def test_the_join_at_fresh_points(sink, stack, databases, tmp_path, report, source):
    database = databases()
    generator = Generator(sink)
    generator.run("--events", 3000, "--no-schema-changes", "--no-hostile", "--late", 500)
    lines = generator.records.read_text().splitlines()
    records = records_of(lines)
    daemon = (from_file if source == "file" else from_queues)(sink, stack, database, tmp_path)
    daemon.await_that(lambda: database.exists("ods_sink.derived"), what="the sink's own tables")
    database.execute(POINTS)
    watch = Watch(database, BY_OFFSETS if source == "file" else BY_COUNTS)
    watch.start()
    feed(source, stack, tmp_path, lines, watch)
    total = {topic: len(rows) for topic, rows in records.items()}
    daemon.await_that(lambda: watch.points and json.loads(watch.points[-1][0]).items() >= total.items(),
                      what=lambda: f"the end is fresh: {watch.points[-1][0] if watch.points else None}")
    watch.done.set()
    watch.join()
    assert not watch.failure, watch.failure
    await_equal(daemon, database, "order_view", VIEW["query"])
    daemon.stop()
    compared = check_points(records, [(json.loads(counts), rows) for counts, rows in watch.points])
    report(f"{len(watch.points)} fresh points of {database.count('points')}, {compared} rows compared")
    assert len(watch.points) >= PARTS // 2


def from_file(sink, stack, database, folder):
    kept = Kept(sink, database, folder, derived=[VIEW], pipeline={
        "name": "shop", "topics": ["^ora\\.SHOP\\."], "format": "debezium", **COMMON})
    return kept.start()


def from_queues(sink, stack, database, folder):
    os.environ.setdefault("ODS_STACK_ARTEMIS_SYNC", "false")  # machines are not killed here
    stack.up("artemis")
    sink.http_port = free_port()
    sink.write(pipeline(topics=list(JOINED), input={"type": "amqp", "address": f"{folder.name}.${{topic}}"}),
               database=database, amqp=[Broker(stack).settings()], batch={"max_events": 100},
               http={"listen": f"127.0.0.1:{sink.http_port}"})
    add_derived(sink, [VIEW])
    return sink.daemon()


def feed(source, stack, folder, lines, watch):
    """In parts, and each second time only when a moment was fresh that saw something of the one before."""
    for part in range(PARTS):
        seen = len(watch.points)
        if source == "file":
            with open(folder / "records.jsonl", "a", encoding="utf-8") as file:
                file.write("".join(line + "\n" for line in slice_of(lines, part)))
        else:
            for topic, bodies in records_of(lines).items():
                Broker(stack).blast(f"{folder.name}.{topic}", slice_of(bodies, part), identity=f"{topic}-{part}")
        if part % 2:
            wait_for(lambda: watch.failure or len(watch.points) > seen, 60, "a fresh moment")


def slice_of(items, part):
    return items[len(items) * part // PARTS:len(items) * (part + 1) // PARTS]
