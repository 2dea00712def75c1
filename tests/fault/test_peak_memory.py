"""Memory of an undisturbed load, at the fullest that the queues get."""

import time

from lib.records import Table, pipeline

EVENTS = 100_000
PARTITIONS = 4
LIMIT_BYTES = 100 * 1000 * 1000


def test_peak_memory_of_an_undisturbed_load(sink, database, kafka, prefix, report):
    """Everything waits in Kafka, so that the queues are as full as they get."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, PARTITIONS)
    kafka.produce([table.create({"id": number, "name": f"name of {number}" * 5, "amount": number},
                                partition=number % PARTITIONS) for number in range(EVENTS)])
    sink.write(pipeline(table, name="load"), database=database, kafka=True)
    daemon = sink.daemon()
    began = time.monotonic()
    daemon.await_that(lambda: sum(database.offsets().values()) == EVENTS, 90, "the end")
    took = time.monotonic() - began
    peak = daemon.peak_rss_bytes()
    daemon.stop()
    report(f"{EVENTS} events in {took:.1f} s, peak RSS {peak / 1e6:.1f} MB")
    assert database.count("items") == EVENTS
    assert database.value("select sum(amount) from items") == sum(range(EVENTS))
    assert peak < LIMIT_BYTES
