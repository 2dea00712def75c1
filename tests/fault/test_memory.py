"""What memory may be taken is said by the configuration, whatever comes.

The ceiling is the one that `ods-sink check` prints, and what one record takes beyond it: its bytes in
Kafka, in the batch, on the way to PostgreSQL.
"""

import re
import time

from lib.records import INT, TEXT, Table, pipeline
from lib.sink import Exit
from lib.size import size

MIB = 1024 * 1024
OURSELVES = 40 * MIB  # the program, its libraries, threads, connections
STILL_S = size("STILL_S", 5, 20)  # longer than a session may be silent


def ceiling(sink):
    return int(re.search(r"at most (\d+) MiB", sink.check().stdout).group(1)) * MIB


def stored(database):
    return sum(database.offsets().values())


def test_record_of_50_mb(sink, database, kafka, prefix, report):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1, max_message_bytes=60_000_000)
    text = "x" * 50_000_000
    kafka.produce([table.create({"id": 1, "name": "a", "amount": 1}),
                   table.create({"id": 2, "name": text, "amount": 1}),
                   table.create({"id": 3, "name": "b", "amount": 1})])
    sink.write(pipeline(table), database=database, kafka=True)
    daemon = sink.daemon()
    daemon.await_that(lambda: stored(database) == 3, 120, "the end")
    assert database.execute("select id, length(name) from items order by id") == \
        [(1, 1), (2, len(text)), (3, 1)]
    peak = daemon.peak_rss_bytes()
    report(f"peak {peak // MIB} MiB, ceiling without the record {ceiling(sink) // MIB} MiB")
    assert peak < ceiling(sink) + OURSELVES + 4 * len(text)
    daemon.stop()


def test_record_larger_than_may_be_received(sink, database, kafka, prefix):
    """Nothing can be read past it: the daemon says so, which property to raise, and waits."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1, max_message_bytes=60_000_000)
    kafka.produce([table.create({"id": 1, "name": "a", "amount": 1})])
    sink.write(pipeline(table), database=database, kafka=True,
               kafka_properties={"receive.message.max.bytes": "2000000"})
    daemon = sink.daemon()
    daemon.await_that(lambda: stored(database) == 1, what="the first row")
    kafka.produce([table.create({"id": 2, "name": "x" * 5_000_000, "amount": 1})])
    daemon.await_that(lambda: "receive.message.max.bytes" in daemon.log(), what="the reason")
    assert stored(database) == 1 and daemon.get("/healthz")[0] == 200
    daemon.stop()
    sink.write(pipeline(table), database=database, kafka=True)
    daemon = sink.daemon()
    daemon.await_that(lambda: stored(database) == 2, what="the end")
    daemon.stop()


def test_target_that_stands_still(sink, database, kafka, prefix, report):
    """Records come and come; what can't be written waits in Kafka, and nobody leaves the group."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 4)
    records = [table.create({"id": number, "name": "n" * 4000, "amount": number},
                            partition=number % 4) for number in range(10_000)]
    kafka.produce(records[:1000])
    sink.write(pipeline(table), database=database, kafka=True, batch={"max_bytes": 2 * MIB},
               targets=[{"name": "ods", "type": "postgres", "dsn": database.dsn,
                         "lock_timeout_ms": 0}])
    daemon = sink.daemon()
    daemon.await_that(lambda: stored(database) == 1000, what="the beginning")
    daemon.await_that(lambda: daemon.metric("ods_sink_lane_ready") == 2, what="both lanes")
    time.sleep(3)  # the second lane's joining is over
    rebalances = daemon.metric("ods_sink_rebalances_total")
    blocker = database.connect()
    blocker.autocommit = False
    blocker.cursor().execute("lock table items in access exclusive mode")
    kafka.produce(records[1000:])
    time.sleep(STILL_S)
    peak = daemon.peak_rss_bytes()
    assert daemon.metric("ods_sink_rebalances_total") == rebalances
    blocker.rollback()
    blocker.close()
    daemon.await_that(lambda: stored(database) == len(records), 120, "the end")
    report(f"peak {peak // MIB} MiB after {STILL_S} s, ceiling {ceiling(sink) // MIB} MiB")
    assert max(peak, daemon.peak_rss_bytes()) < ceiling(sink) + OURSELVES
    assert database.count("items") == len(records)
    daemon.stop()


def test_more_columns_than_a_table_has(sink, database, kafka, prefix):
    """PostgreSQL ends at 1,600: the table's records are dead letters, the other table goes on."""
    names = {"id": INT, **{f"c{number}": TEXT for number in range(5000)}}
    wide = Table("wide", prefix=prefix, columns=names)
    kafka.create(wide.topic, 1, max_message_bytes=10_000_000)
    other = Table(prefix=prefix)
    kafka.create(other.topic, 1)
    letters = kafka.create(f"{prefix}.letters", 1, max_message_bytes=10_000_000)
    kafka.produce([wide.create({"id": 1}), wide.delete({"id": 1}),
                   other.create({"id": 1, "name": "n", "amount": 1})])
    sink.write(pipeline(f"^{prefix}\\.shop\\..*"), database=database, kafka=True,
               dead_letter={"topic": letters},
               kafka_properties={"message.max.bytes": "10000000"})
    daemon = sink.daemon()
    daemon.await_that(lambda: stored(database) == 3 and kafka.count(letters) == 2, what="the end")
    daemon.stop()
    for letter in kafka.read(letters):
        error = dict(letter.headers())["ods.error"]
        assert b"table public.wide" in error and b"1600 columns" in error
    assert database.count("items") == 1 and not database.exists("wide")


def test_thousands_of_tables(sink, database, kafka, prefix, report):
    """All in one topic. What is kept of each is small, and so is its line in the metrics."""
    count = size("TABLES", 100, 1000)
    patience_s = max(300, count // 10)
    tables = [Table(f"t{number}", prefix=prefix) for number in range(count)]
    topic = kafka.create(f"{prefix}.all", 2)
    sink.write(pipeline(topic), database=database, kafka=True)
    daemon = sink.daemon().await_ready()

    def change(number):
        records = [{**table.create({"id": number, "name": "n", "amount": 1}), "topic": topic,
                    "partition": place % 2} for place, table in enumerate(tables)]
        kafka.produce(records)

    change(0)
    daemon.await_that(lambda: stored(database) == count, patience_s, "a row in each")
    page = len(daemon.get("/metrics")[1])
    first = daemon.peak_rss_bytes()
    change(1)
    daemon.await_that(lambda: stored(database) == 2 * count, patience_s, "two rows in each")
    peak = daemon.peak_rss_bytes()
    report(f"{count} tables: peak {first // MIB}, then {peak // MIB} MiB; /metrics {page} bytes")
    assert page < 24_000 + count * 150
    assert peak < ceiling(sink) + OURSELVES + count * 40_000
    daemon.stop()
