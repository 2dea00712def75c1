"""The Kafka target: changes as records, exactly once at the source's cluster, at least once at another
one."""

import json

import pytest

from lib.committed import read_committed
from lib.records import INT, TEXT, Table, pipeline, row
from lib.sink import Exit, read_lines

PARTITIONS = 3


def target(topic, **settings):
    return [{"name": "ods", "type": "kafka", "topic": topic, **settings}]


@pytest.fixture
def out(kafka, prefix):
    """A topic to write to, and what it holds."""
    class Out:
        topic = f"{prefix}-out"

        def read(self, topic=None):
            return read_committed(kafka.bootstrap, topic or self.topic)

    kafka.create(Out.topic, PARTITIONS)
    return Out()


def run_until(sink, records, ready):
    """A daemon that has applied all when it stops."""
    daemon = sink.daemon().await_ready()
    try:
        daemon.await_that(ready, what="records in the target")
    finally:
        daemon.stop()
    return daemon


def test_envelopes_exactly_once(sink, kafka, table, out):
    sink.write(pipeline(table), kafka=True, targets=target(out.topic))
    assert "exactly once" in sink.check().stdout
    records = [table.create(row(number), partition=number % 3) for number in range(60)]
    records += [table.update(row(1), row(1, 5), partition=1), table.delete(row(2), partition=2)]
    kafka.produce(records)
    run_until(sink, records, lambda: len(out.read()) >= 63)
    read = out.read()
    assert len(read) == 63
    by_key = {}
    for record in read:
        by_key.setdefault(record.key, []).append(record)
    assert len(by_key) == 60
    one = by_key[records[1]["key"]]
    assert [record.payload()["op"] for record in one] == ["c", "u"]
    assert one[1].payload()["before"] == row(1) and one[1].payload()["after"] == row(1, 5)
    two = by_key[records[2]["key"]]
    assert two[1].payload()["before"] == row(2) and two[1].payload()["op"] == "d"
    assert two[2].value is None, "no tombstone behind the delete"
    source = one[0].payload()["source"]
    assert (source["db"], source["table"], source["connector"]) == ("shop", "items", "mysql")
    # The group's offsets are where the transaction has put them.
    committed = kafka.committed(f"{sink.group}.items", table.topic, PARTITIONS)
    assert sum(committed) == len(records)
    # And again: nothing more.
    daemon = sink.daemon().await_ready()
    kafka.produce([table.create(row(100))])
    daemon.await_that(lambda: len(out.read()) == 64, what="one more")
    daemon.stop()
