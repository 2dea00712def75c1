#!/usr/bin/python3
"""Messages a second into PostgreSQL with the join of examples/queue kept beside them: ods-generate fills
the queues of ActiveMQ Artemis (or topics of Kafka), then the release build reads them to their ends. The
join at moments that the target called fresh is compared with one computed from the streams' beginnings.
The broker's code is compiled by what goes through it before, as that of a broker that has run for a while:
--before so many messages of their own, into another database; --warm so many of those that are measured.
What it spends on compiling even so is told by itself.

    bench/queues.py [--events N] [--before N] [--warm N] [--from amqp|kafka] [--lanes N] [--points N]
                    [--schemas] [--small] [--alone]
"""

import argparse
import io
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("ODS_TEST_FULL", "1")  # PostgreSQL's own settings: what is committed is on the disk
os.environ.setdefault("ODS_STACK_ARTEMIS_JAVA", "-Xms1g -Xmx4g -XX:+UseParallelGC")

import yaml  # noqa: E402
from lib.amqp import Broker  # noqa: E402
from lib.derived import add_derived, quiet  # noqa: E402
from lib.kafka import Kafka  # noqa: E402
from lib.postgres import create_database  # noqa: E402
from lib.prefix import POINTS, ROWS, check_points, copied_rows, records_of  # noqa: E402
from lib.sink import Setup, free_port  # noqa: E402
from lib.stack import Stack  # noqa: E402

TABLES = ("CUSTOMERS", "PRODUCTS", "ORDERS", "PAYMENTS", "SHIPMENTS")
TOPICS = [f"ora.SHOP.{table}" for table in TABLES]


class Points(threading.Thread):
    """Looks in one snapshot each time that so many records, at random, have come into the join."""

    def __init__(self, database, source, count, events):
        super().__init__(daemon=True)
        self.database = database
        self.moments = sorted(random.randrange(events) for _ in range(count))
        self.sql = ("select (select jsonb_object_agg(topic, next_offset) from ods_sink.derived_freshness "
                    "where derived = 'public.order_view')::text, fresh_at::text from ods_sink.derived "
                    "where name = 'public.order_view'" if source == "kafka" else
                    "select p.counts::text, d.fresh_at::text from ods_sink.derived d join points p using "
                    "(fresh_at) where name = 'public.order_view' limit 1")
        self.points, self.done = [], threading.Event()
        self.backend = None

    def run(self):
        connection = self.database.connect()
        connection.autocommit = False
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        self.backend = connection.info.backend_pid
        last = None
        while self.moments and not self.done.wait(0.01):
            with connection.cursor() as cursor:
                cursor.execute(self.sql)
                [(counts, fresh_at)] = cursor.fetchall() or [(None, None)]
                counts = json.loads(counts or "{}")
                if fresh_at != last and sum(counts.values()) >= self.moments[0]:
                    rows = io.BytesIO()
                    cursor.copy_expert(f"copy ({ROWS}) to stdout", rows)
                    self.points.append((counts, rows.getvalue()))
                    last = fresh_at
                    self.moments.pop(0)
            connection.rollback()
        connection.close()


def generate(options, folder, to, *more, **settings):
    program = [ROOT / "build" / "release" / "ods-generate", "--to", to, "--per-minute", "max", "--events",
               options.events, "--late", options.events // 4, "--no-hostile", "--no-schema-changes",
               *([] if options.schemas else ["--no-schemas"]), "--truth", folder / "truth", *more]
    return subprocess.Popen([str(part) for part in program], **settings)


def write(options, sink, database, stack, broker):
    example = yaml.safe_load((ROOT / "examples" / "queue" / "tables.yaml").read_text())
    shop = {"name": "shop", "topics": TOPICS, "format": "debezium", "target": "ods", "lanes": options.lanes,
            "defaults": {"fold": "lower", "on_delete": "hard"},
            "input": {"type": "amqp", "key": "property:key",
                      **({"prefetch_bytes": 4 << 20, "max_message_bytes": 4 << 20} if options.small else {})},
            "tables": {"ORDERS": {"source_types": {"ORDERED_AT": "timestamp us"}},
                       "PAYMENTS": {"source_types": {"BOOKED": "timestamp ns"}}}}
    if options.source == "kafka":
        del shop["input"]
    sink.http_port = free_port()
    sink.write(shop, kafka=options.source == "kafka",
               targets=[{"name": "ods", "type": "postgres", "dsn": database.dsn}],
               batch={"max_bytes": 4 << 20} if options.small else {},
               **({} if options.source == "kafka" else {"amqp": [broker.settings()]}),
               http={"listen": f"127.0.0.1:{sink.http_port}"})
    if not options.alone:
        add_derived(sink, [{**example["derived"][0], "outbox": False}])


def cpu_seconds(process):
    fields = (Path("/proc") / str(process) / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_compilers(pid):
    """Of the threads of a Java process that make machine code; one that has ended is left out."""
    seconds = 0
    for task in (Path("/proc") / str(pid) / "task").iterdir():
        try:
            if "CompilerThre" in (task / "comm").read_text():
                seconds += cpu_seconds(task.relative_to("/proc"))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return seconds


def cpu_of(stack, daemon, server, database, points):
    """Of each process. Of PostgreSQL's, the one that keeps the join holds its lock, and one is asked for the
    rows that are compared."""
    broker, compilers = cpu_seconds(stack.pid(server)), cpu_of_compilers(stack.pid(server))
    used = {"ods-sink": cpu_seconds(daemon.pid), "broker": broker - compilers,
            "broker, compiling": compilers}
    for pid, keeps in database.execute(
            "select pid, exists (select from pg_locks l where l.pid = a.pid and classid = 723549822) from "
            "pg_stat_activity a where pid <> pg_backend_pid() and (datname = current_database() or datname "
            "is null)"):
        name = ("PostgreSQL, what is compared" if pid == points.backend else
                "PostgreSQL, the join" if keeps else "PostgreSQL, rows and disk")
        used[name] = used.get(name, 0) + cpu_seconds(pid)
    return used


def run(options, stack):
    server = "artemis" if options.source == "amqp" else "kafka"
    stack.up("postgres", server)
    broker = Broker(stack) if options.source == "amqp" else None
    for topic in TOPICS if not broker else ():  # the records' times are long ago
        Kafka(stack).create(topic, 1, **{"retention.ms": "-1"})
    if options.before:
        first = argparse.Namespace(**{**vars(options), "events": options.before, "warm": 0, "points": 0})
        load(first, stack, broker, server, "before")
    load(options, stack, broker, server, "queue")


def load(options, stack, broker, server, name):
    folder = stack.folder / f"bench-{name}"
    folder.mkdir()
    to = broker.url if broker else "kafka://" + stack["KAFKA_BOOTSTRAP"]
    done = generate(options, folder, to, *(["--user", broker.user] if broker else []),
                    env={**os.environ, "AMQP_PASSWORD": stack["ARTEMIS_PASSWORD"] if broker else ""})
    assert done.wait() == 0
    database = create_database(stack, f"bench_{name}")
    database.execute((folder / "truth" / "target.sql").read_text())
    database.execute("create index on orders (customer_id); create index on orders (sku)")
    sink = Setup(folder, ROOT / "build" / "release" / "ods-sink", stack)
    write(options, sink, database, stack, broker)
    measure(options, stack, sink, database, server, name)


def measure(options, stack, sink, database, server, name):
    daemon = sink.daemon()
    if options.source == "amqp":
        applied = lambda: database.value("select sum(kept) from ods_sink.delivered_sources")  # noqa: E731
    else:
        applied = lambda: sum(database.offsets().values())  # noqa: E731
    daemon.await_that(lambda: database.exists("ods_sink.delivered_sources"))
    points = Points(database, options.source, options.points, options.events)
    if options.points and not options.alone:
        daemon.await_that(lambda: database.exists("ods_sink.derived"))
        database.execute(POINTS)
        points.start()
    daemon.await_that(lambda: (applied() or 0) >= options.warm, 600, "the first are applied")
    began, first = time.monotonic(), applied()
    before = cpu_of(stack, daemon, server, database, points)
    daemon.await_that(lambda: (applied() or 0) >= options.events, 1200, "all applied")
    rows_s = time.monotonic() - began
    if not options.alone:
        daemon.await_that(lambda: quiet(database, "order_view"), 600, "the join")
    took = time.monotonic() - began
    measured = options.events - int(first or 0)
    used = {name: seconds - before.get(name, 0)
            for name, seconds in cpu_of(stack, daemon, server, database, points).items()}
    peak = daemon.peak_rss_bytes()
    points.done.set()
    daemon.stop()
    print(json.dumps({
        "load": name, "source": options.source, "events": options.events, "measured": measured,
        "seconds": round(took, 2), "rows_seconds": round(rows_s, 2),
        "messages_per_second": round(measured / took),
        "cpu_us_a_message": {name: round(seconds * 1e6 / measured, 1)
                             for name, seconds in used.items()},
        "peak_mb": round(peak / 1e6, 1)}), flush=True)
    if points.ident:
        points.join()
        compare(options, sink.folder, points.points)


def compare(options, folder, points):
    made = generate(options, folder, "-", "--quiet", stdout=subprocess.PIPE, text=True)
    records = records_of(made.stdout)
    assert made.wait() == 0
    assert len(points) >= options.points // 2, f"{len(points)} moments were seen as fresh"
    compared = check_points(records, ((counts, list(copied_rows(rows))) for counts, rows in points))
    print(json.dumps({"fresh_points": len(points), "rows_compared": compared, "different": 0,
                      "records_of_the_first": sum(points[0][0].values()) if points else 0,
                      "records_of_the_last": sum(points[-1][0].values()) if points else 0}), flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--events", type=int, default=1000000)
    options.add_argument("--before", type=int, default=0, help="messages that the broker has for a start")
    options.add_argument("--warm", type=int, default=0, help="messages before it is measured")
    options.add_argument("--from", dest="source", choices=("amqp", "kafka"), default="amqp")
    options.add_argument("--lanes", type=int, default=2)
    options.add_argument("--points", type=int, default=20)
    options.add_argument("--schemas", action="store_true", help="a schema in each message")
    options.add_argument("--small", action="store_true", help="batches, and what is read ahead, of 4 MiB")
    options.add_argument("--alone", action="store_true", help="without the join")
    options = options.parse_args()
    if options.before and options.source == "kafka":
        sys.exit("--before is for queues, which are empty then: --from amqp")
    stack = Stack()
    try:
        run(options, stack)
    finally:
        stack.close()


if __name__ == "__main__":
    main()
