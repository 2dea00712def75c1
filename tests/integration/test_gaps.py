"""Offsets that do not fit: records gone, topics made anew; and gaps that are none: transactions,
compaction, empty partitions."""

import json
import time

import pytest
from lib.records import Table, pipeline, row
from lib.sink import Exit
from lib.waiting import wait_for


def produce(kafka, table, numbers):
    kafka.produce([table.create(row(number)) for number in numbers])


def ids(database):
    return [number for number, in database.execute("select id from items order by id")]


def stored(database):
    return list(database.offsets().values())


def start(sink, database, table, properties=None, **kafka_settings):
    sink.write(pipeline(table), database=database, kafka=True, kafka_properties=properties)
    if kafka_settings:
        text = sink.conf.read_text()
        more = "".join(f'{name} = "{value}"; ' for name, value in kafka_settings.items())
        sink.conf.write_text(text.replace("kafka = { ", "kafka = { " + more, 1))
    return sink.daemon()


@pytest.fixture
def applied(sink, database, kafka, table):
    """Ten records, applied, and the daemon gone."""
    produce(kafka, table, range(10))
    daemon = start(sink, database, table)
    daemon.await_that(lambda: stored(database) == [10], what="the end")
    daemon.stop()
    return database


def truncated(kafka, table):
    """Records 10 to 19 are written and 10 to 14 are gone before anybody read them."""
    produce(kafka, table, range(10, 20))
    kafka.delete_records(table.topic, 0, 15)


def remade(kafka, table, records):
    kafka.delete(table.topic)
    kafka.create(table.topic, 1)
    table._offsets.clear()
    produce(kafka, table, range(100, 100 + records))


def an_hour_ago(database):
    database.execute("update ods_sink.offsets set updated_at = updated_at - interval '1 hour'")


def test_truncated_log_stops_loudly(sink, applied, kafka, table):
    truncated(kafka, table)
    daemon = start(sink, applied, table)
    assert daemon.process.wait(60) == Exit.SOURCE
    assert stored(applied) == [10] and len(ids(applied)) == 10
    error = next(line for line in daemon.log().splitlines() if " error " in line)
    for word in (f"topic {table.topic} partition 0", "10", "15 to 20", "ods-sink reset",
                 f"--topic {table.topic}", "kafka.on_offset_gone"):
        assert word in error
    # What the message says does help.
    sink.run("reset", "-c", sink.conf, "--topic", table.topic, "--to", "earliest")
    assert stored(applied) == [15]
    daemon = sink.daemon()
    daemon.await_that(lambda: stored(applied) == [20], what="the end")
    daemon.stop()
    assert ids(applied) == [*range(10), *range(15, 20)]


@pytest.mark.parametrize("policy, rows, place", [("earliest", range(15, 21), 15),
                                                 ("latest", [20], 20)])
def test_truncated_log_by_policy(sink, applied, kafka, table, policy, rows, place):
    truncated(kafka, table)
    daemon = start(sink, applied, table, on_offset_gone=policy)
    daemon.await_that(lambda: stored(applied) == [20], what="the end")
    produce(kafka, table, [20])
    daemon.await_that(lambda: stored(applied) == [21], what="what came later")
    assert ids(applied) == [*range(10), *rows]
    assert daemon.metric("ods_sink_offset_gaps_total") == 1
    assert " error " in daemon.log() and "15 to 20" in daemon.log()
    daemon.await_ready().stop()


@pytest.mark.parametrize("records", [0, 3])
def test_topic_made_anew_and_shorter(sink, applied, kafka, table, records):
    remade(kafka, table, records)
    daemon = start(sink, applied, table)
    assert daemon.process.wait(60) == Exit.SOURCE
    assert "made anew" in daemon.log() and stored(applied) == [10]
    daemon = start(sink, applied, table, on_offset_gone="earliest")
    daemon.await_that(lambda: stored(applied) == [records], what="the end of the new one")
    daemon.stop()
    assert ids(applied) == [*range(10), *range(100, 100 + records)]


@pytest.mark.parametrize("records", [10, 25])
def test_topic_made_anew_and_as_long(sink, applied, kafka, table, records):
    remade(kafka, table, records)
    an_hour_ago(applied)
    daemon = start(sink, applied, table)
    assert daemon.process.wait(60) == Exit.SOURCE
    error = next(line for line in daemon.log().splitlines() if " error " in line)
    assert "made anew" in error and "ods-sink reset" in error
    assert "kafka.on_topic_recreated" in error and stored(applied) == [10]
    daemon = start(sink, applied, table, on_topic_recreated="earliest")
    daemon.await_that(lambda: stored(applied) == [records] and len(ids(applied)) == 10 + records,
                      what="the end of the new one")
    assert daemon.metric("ods_sink_offset_gaps_total") == 1
    daemon.stop()
    assert ids(applied) == [*range(10), *range(100, 100 + records)]
    # The new offset is as young as the records: nothing is found again.
    start(sink, applied, table).await_ready().stop()


def test_reset_accepts_a_topic_made_anew(sink, applied, kafka, table):
    remade(kafka, table, 12)
    an_hour_ago(applied)
    sink.run("reset", "-c", sink.conf, "--topic", table.topic, "--to", "11")
    daemon = sink.daemon()
    daemon.await_that(lambda: stored(applied) == [12], what="the end")
    daemon.stop()
    assert ids(applied) == [*range(10), 111]


def test_topic_made_anew_is_not_looked_for(sink, applied, kafka, table):
    remade(kafka, table, 12)
    an_hour_ago(applied)
    daemon = start(sink, applied, table, on_topic_recreated="ignore")
    daemon.await_that(lambda: stored(applied) == [12], what="the end")
    daemon.stop()
    assert ids(applied) == [*range(10), 110, 111]


def test_topic_made_anew_under_a_running_daemon(sink, database, kafka, table):
    produce(kafka, table, range(10))
    daemon = start(sink, database, table)
    daemon.await_that(lambda: stored(database) == [10], what="the end")
    remade(kafka, table, 3)
    assert daemon.process.wait(60) == Exit.SOURCE
    assert "made anew" in daemon.log()
    assert stored(database) == [10] and ids(database) == list(range(10))


def lags(daemon):
    lanes = json.loads(daemon.get("/status")[1] or '{"lanes": []}')["lanes"]
    return [partition["lag"] for lane in lanes for partition in lane["partitions"]]


def test_aborted_records_never_appear(sink, database, kafka, table):
    """And markers and aborted records are passed: the offset reaches the end, the lag is 0."""
    producer = kafka.transactions(f"{table.topic}-writer")
    daemon = start(sink, database, table)
    expected = []
    for turn in range(6):
        producer.begin_transaction()
        for number in range(turn * 10, turn * 10 + 10):
            record = table.create(row(number))
            producer.produce(table.topic, key=record["key"], value=record["payload"], partition=0)
        if turn % 2:
            producer.flush(20)
            producer.abort_transaction(20)
        else:
            producer.commit_transaction(20)
            expected += range(turn * 10, turn * 10 + 10)
        end = (turn + 1) * 11
        daemon.await_that(lambda: stored(database) == [end], what=f"offset {end}")
        assert ids(database) == expected
    daemon.await_that(lambda: lags(daemon) == [0], what="no lag")
    daemon.stop()
    assert kafka.committed(f"{sink.group}.items", table.topic, 1) == [66]
    # An open transaction holds everything behind it back.
    daemon = sink.daemon()
    producer.begin_transaction()
    record = table.create(row(1000))
    producer.produce(table.topic, key=record["key"], value=record["payload"], partition=0)
    producer.flush(20)
    produce(kafka, table, [1001])
    daemon.await_ready()
    time.sleep(1)
    assert ids(database) == expected
    producer.commit_transaction(20)
    daemon.await_that(lambda: ids(database) == [*expected, 1000, 1001], what="both")
    daemon.await_that(lambda: lags(daemon) == [0], what="no lag")
    daemon.stop()


def test_compacted_topic(sink, database, kafka, prefix):
    """Offsets are missing in the middle; the ones that are there are applied, the end is reached."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1, cleanup_policy="compact", segment_bytes=100000,
                 min_cleanable_dirty_ratio=0.01, segment_ms=500, max_compaction_lag_ms=1000)
    for turn in range(8):
        kafka.produce([table.change("u", row(number), {**row(number), "amount": turn})
                       for number in range(20)])

    def compacted():
        kafka.produce([table.create(row(0))])
        return len(kafka.read(table.topic)) < kafka.count(table.topic)

    wait_for(compacted, 120, "the broker compacts", interval_s=1)
    end = kafka.count(table.topic)
    daemon = start(sink, database, table)
    daemon.await_that(lambda: stored(database) == [end], what="the end")
    daemon.await_that(lambda: lags(daemon) == [0], what="no lag")
    daemon.stop()
    assert ids(database) == list(range(20))


def test_empty_partitions_have_no_lag(sink, database, kafka, prefix):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 4)
    kafka.produce([table.create(row(1), partition=2)])
    daemon = start(sink, database, table)
    daemon.await_that(lambda: lags(daemon) == [0, 0, 0, 0], what="no lag on any")
    assert stored(database) == [1], "nothing is stored of a partition that never had a record"
    daemon.stop()


def test_everything_expired_before_the_first_start(sink, database, kafka, table):
    produce(kafka, table, range(10))
    kafka.delete_records(table.topic, 0, 10)
    daemon = start(sink, database, table)
    daemon.await_that(lambda: stored(database) == [10] and lags(daemon) == [0], what="the end")
    produce(kafka, table, [10])
    daemon.await_that(lambda: stored(database) == [11], what="the next record")
    daemon.stop()
    assert ids(database) == [10]
