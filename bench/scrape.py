#!/usr/bin/python3
"""What /metrics costs: its time and size with many tables, each with a topic of its own or with a few that they
share, that of /status, /trends and the page too, and the latency of a lane while nobody asks, while somebody scrapes
it, and while some have the page open, in turns.

    bench/scrape.py [--tables N] [--topics N] [--windows N] [--seconds S] [--rate R] [--every S] [--pages N]
                    [--settle S]
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402
from lib.kafka import Kafka  # noqa: E402
from lib.postgres import create_database  # noqa: E402
from lib.records import BIGINT, INT, TEXT, Table  # noqa: E402
from lib.sink import Setup  # noqa: E402
from lib.stack import Stack  # noqa: E402
from lib.waiting import wait_for  # noqa: E402

COLUMNS = {"id": INT, "name": TEXT, "sent_us": BIGINT}
# What the broker needs that has thousands of topics.
JAVA = "-Xms2g -Xmx2g -XX:+UseParallelGC"
# The program's own, in place of the tests'.
PROPERTIES = {"session.timeout.ms": None, "heartbeat.interval.ms": None, "reconnect.backoff.max.ms": None,
              "topic.metadata.refresh.interval.ms": None}
HTTP_THREAD = "MHD-single"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"


def scrape(sink, accept="*/*", path="/metrics"):
    """(milliseconds, bytes)"""
    request = urllib.request.Request(f"http://127.0.0.1:{sink.http_port}{path}", headers={"Accept": accept})
    began = time.monotonic()
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        body = answer.read()
    return (time.monotonic() - began) * 1000, len(body)


def create_topics(stack, tables):
    admin = AdminClient({"bootstrap.servers": stack["KAFKA_BOOTSTRAP"]})
    names = {table.topic for table in tables}
    topics = [NewTopic(name, 1, 1) for name in sorted(names)]
    for first in range(0, len(topics), 500):
        for made in admin.create_topics(topics[first:first + 500],
                                        operation_timeout=120, request_timeout=180).values():
            made.result()
    wait_for(lambda: names <= {name for name, topic in admin.list_topics(timeout=60).topics.items()
                               if topic.partitions and all(one.leader >= 0 for one in topic.partitions.values())},
             300, "topics")


def produce(kafka, records):
    """In portions, each within the time that one has."""
    for first in range(0, len(records), 500):
        kafka.produce(records[first:first + 500])


def answering_ms(daemon):
    """CPU so far of the thread that answers, which is all that a scrape costs the daemon; 0: not told."""
    return sum(int((task / "schedstat").read_text().split()[0]) / 1e6
               for task in Path(f"/proc/{daemon.pid}/task").iterdir()
               if (task / "comm").read_text().strip() == HTTP_THREAD)


def tell(what, sink, daemon, path, accept="*/*"):
    scrape(sink, accept, path)
    before = answering_ms(daemon)
    told = [scrape(sink, accept, path) for _ in range(20)]
    cpu_ms = (answering_ms(daemon) - before) / len(told)
    print(f"{what}: {statistics.median(ms for ms, _ in told):.1f} ms (at most {max(ms for ms, _ in told):.1f}), "
          f"{cpu_ms:.1f} ms of CPU, {told[-1][1] / 1e6:.3f} MB", flush=True)


class Load(threading.Thread):
    """So many rows a second into the first table."""

    def __init__(self, kafka, table, rate):
        super().__init__(daemon=True)
        self.kafka, self.table, self.rate, self.over, self.next = kafka, table, rate, threading.Event(), 1000

    def run(self):
        due = time.monotonic()
        while not self.over.is_set():
            for _ in range(max(1, self.rate // 100)):
                row = {"id": self.next, "name": "x", "sent_us": time.time_ns() // 1000}
                self.next += 1
                self.kafka.produce_soon(self.table.create(row))
            due += 0.01
            time.sleep(max(0, due - time.monotonic()))


class Reader(threading.Thread):
    """Asks for a path every so many seconds."""

    def __init__(self, sink, path, every, accept="*/*"):
        super().__init__(daemon=True)
        self.sink, self.path, self.every, self.accept, self.over = sink, path, every, accept, threading.Event()

    def run(self):
        while not self.over.wait(self.every):
            scrape(self.sink, self.accept, self.path)


def readers(how, sink, options):
    """Those who ask meanwhile; a page that is open asks as index.html does."""
    if how == "scraped":
        return [Reader(sink, "/metrics", options.every, OPENMETRICS)]
    if how == "page":
        return [Reader(sink, path, every) for _ in range(options.pages) for path, every in (("/status", 2), ("/trends", 10))]
    return []


def window(database, table, seconds):
    """p50 and p99 of the milliseconds from the record's making to its row's writing."""
    first = database.value(f"select coalesce(max(id), 0) from {table}")
    time.sleep(seconds)
    return database.execute(
        f"select percentile_cont(0.5) within group (order by ms), percentile_cont(0.99) within group (order by ms) "
        f"from (select extract(epoch from applied) * 1e3 - sent_us / 1e3 as ms from {table} where id > {first}) as late"
        )[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=10000)
    parser.add_argument("--topics", type=int, default=0, help="that the tables share; 0: each has its own")
    parser.add_argument("--windows", type=int, default=6, help="of each kind")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--settle", type=float, default=20, help="seconds before anything is measured")
    parser.add_argument("--every", type=float, default=1, help="seconds between two scrapes")
    parser.add_argument("--pages", type=int, default=3, help="that are open, in a third of the windows")
    options = parser.parse_args()
    os.environ.setdefault("ODS_TEST_FULL", "1")
    os.environ.setdefault("ODS_STACK_KAFKA_JAVA", JAVA)
    stack = Stack().up("postgres", "kafka")
    folder = Path(tempfile.mkdtemp(prefix="ods-scrape-"))
    try:
        prefix = f"scrape{os.getpid()}"
        tables = [Table(f"table_{number:05}", COLUMNS, database="public", prefix=prefix)
                  for number in range(options.tables)]
        for number, table in enumerate(tables if options.topics else []):
            table.topic = f"{prefix}.shared.{number % options.topics}"
        began = time.monotonic()
        create_topics(stack, tables)
        print(f"{options.topics or options.tables} topics are made: {time.monotonic() - began:.0f} s", flush=True)
        kafka, database = Kafka(stack), create_database(stack, prefix)
        database.execute("create table table_00000 (id int primary key, name text, sent_us bigint, "
                         "applied timestamptz default clock_timestamp(), cdc_operation text, "
                         "cdc_timestamp timestamptz)")
        database.execute("do $$ begin perform set_config('synchronous_commit', 'off', false); "
                         f"for number in 1..{options.tables - 1} loop execute format('create table %I "
                         "(like table_00000 including all)', 'table_' || lpad(number::text, 5, '0')); "
                         "if number % 50 = 0 then commit; end if; end loop; "
                         "end $$")
        sink = Setup(folder, ROOT / "build" / "release" / "ods-sink", stack)
        sink.write({"name": "shop", "topics": [f"^{prefix}.*"], "format": "debezium", "target": "ods",
                    "defaults": {"create_tables": True, "schema": "public"}}, database=database, kafka=True,
                   kafka_properties=PROPERTIES)
        row = {"id": 1, "name": "x", "sent_us": 0}
        produce(kafka, [table.read(row) for table in tables])
        produce(kafka, [table.update(row, row) for table in tables])
        began = time.monotonic()
        daemon = sink.daemon().await_ready(600)
        print(f"its lanes have joined their group: {time.monotonic() - began:.0f} s", flush=True)
        daemon.await_that(lambda: (daemon.metric("ods_sink_changes_total") or 0) >= 2 * options.tables, 1800, "all")
        print(f"all tables have rows: {time.monotonic() - began:.0f} s", flush=True)
        wait_for(lambda: "finds out where" not in daemon.get("/status")[1], 600, "all partitions have started")
        print(f"all partitions have started: {time.monotonic() - began:.0f} s", flush=True)
        time.sleep(options.settle)
        for accept in ("*/*", OPENMETRICS):
            tell(f"{options.tables} tables, /metrics, {accept.split(';')[0]}", sink, daemon, "/metrics", accept)
        for path in ("/status", "/trends", "/"):
            tell(f"{options.tables} tables, {path}", sink, daemon, path)
        print(f"memory at most: {daemon.peak_rss_bytes() / 1e6:.0f} MB", flush=True)
        load = Load(kafka, tables[0], options.rate)
        load.start()
        window(database, "table_00000", 5)
        told = {"alone": "nobody asks", "scraped": f"scraped every {options.every:g} s", "page": f"{options.pages} pages open"}
        found = {how: [] for how in told}
        for how in options.windows * list(told):
            asking = readers(how, sink, options)
            for one in asking:
                one.start()
            found[how].append(window(database, "table_00000", options.seconds))
            for one in asking:
                one.over.set()
        for how, windows in found.items():
            print(f"{options.rate} rows a second, {told[how]}: "
                  f"p50 {statistics.median(p50 for p50, _ in windows):.1f} ms, "
                  f"p99 {statistics.median(p99 for _, p99 in windows):.1f} ms "
                  f"({', '.join('%.1f' % p99 for _, p99 in windows)})", flush=True)
        load.over.set()
        load.join()
        kafka.produce([])
        daemon.stop()
    finally:
        stack.close()


if __name__ == "__main__":
    main()
