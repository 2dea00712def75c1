"""ods_sink.freshness and ods_sink.wait_until(): up to when a table is complete."""

import json
import threading
import time

import psycopg2
import pytest
from lib.records import pipeline, row

PARTITIONS = 2
VIEW = ("select round(extract(epoch from complete_to) * 1000)::bigint from ods_sink.freshness "
        "where table_name = %s")


def now_ms():
    return int(time.time() * 1000)


def beat(prefix, ts_ms, schema=False):
    payload = f'{{"ts_ms":{ts_ms}}}'
    if schema:
        payload = ('{"schema":{"type":"struct","fields":[{"type":"int64","field":"ts_ms"}]},'
                   f'"payload":{payload}}}')
    return {"topic": f"__debezium-heartbeat.{prefix}", "partition": 0, "key":
            f'{{"serverName":"{prefix}"}}', "payload": payload, "headers": []}


def waits(database, table, ms, timeout):
    return database.value("select ods_sink.wait_until(%s, to_timestamp(%s / 1000.0), %s)", table, ms,
                          timeout)


def test_tables_of_a_busy_and_of_an_idle_source(sink, database, kafka, table, prefix):
    """A partition is complete up to its newest change, one without news up to its connector's
    heartbeat, and a table up to the least of its partitions."""
    kafka.create(f"__debezium-heartbeat.{prefix}", 1)
    start = now_ms() - 3000
    kafka.produce([table.create(row(1), partition=0, ts_ms=start)])
    reads = [table.topic, f"__debezium-heartbeat.{prefix}"]
    sink.write({**pipeline(table), "topics": reads}, database=database, kafka=True)
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 1)
    one = database.value("select round(extract(epoch from complete_to) * 1000)::bigint from "
                         "ods_sink.offsets where topic = %s", table.topic)
    assert one == start, "the partition is at its end, so nothing of that time is missing"
    daemon.await_that(lambda: database.value("select count(*) from ods_sink.silent_partitions "
                                             "where topic = %s and partition = 1", table.topic) == 1)
    assert database.value(VIEW, "items") is None, "of the other partition nothing is known yet"
    assert not waits(database, "items", start, "0.1 s")

    # The source is idle: its heartbeat tells of both partitions, and so of the table.
    first, second = start + 1000, start + 2000
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(waits(database, "items", first, "60 s")))
    waiter.start()
    kafka.produce([beat(prefix, first)])
    waiter.join()
    assert answers == [True]
    assert database.value(VIEW, "items") == first
    kafka.produce([beat(prefix, second, schema=True)])
    assert waits(database, "public.items", second, "60 s")
    offsets = database.value("select offsets from ods_sink.freshness where table_name = 'items'")
    assert json.loads(offsets) == {f"{table.topic}/0": 1, f"{table.topic}/1": None}

    # It goes on. A snapshot's rows have the time of the snapshot, before which not all is there.
    kafka.produce([table.read(row(3), partition=1, ts_ms=second + 900),
                   table.create(row(2), partition=0, ts_ms=second + 500)])
    daemon.await_that(lambda: database.count("items") == 3)
    assert database.value(VIEW, "items") == second
    kafka.produce([beat(prefix, second + 400)])
    assert waits(database, "items", second + 400, "60 s")
    daemon.stop()


def test_what_is_no_answer(sink, database, table):
    sink.write(pipeline(table), database=database)
    early, late = 1_760_000_000_000, 1_760_000_060_000
    sink.replay([table.create(row(1), ts_ms=late), table.update(row(1), row(1, 5), ts_ms=early),
                 table.create(row(2), ts_ms=early)])
    assert database.value(VIEW, "items") == late, "it never goes back"
    assert waits(database, "items", late, "0 s")
    assert waits(database, "items", late + 1, "0.2 s") is False
    with pytest.raises(psycopg2.Error, match="there is no table"):
        waits(database, "itemz", late, "0 s")
    with pytest.raises(psycopg2.Error, match="null"):
        waits(database, "items", late, None)
    database.execute("create table foreign_to_us (id int)")
    assert waits(database, "foreign_to_us", early, "0 s") is False
    connection = database.connect()
    connection.autocommit = False
    connection.set_session(isolation_level="REPEATABLE READ")
    with pytest.raises(psycopg2.Error, match="nothing new would ever be seen"):
        connection.cursor().execute("select ods_sink.wait_until('items', now(), '1 s')")
    connection.close()


def test_a_connector_that_is_behind(sink, database, kafka, table, prefix):
    """Its heartbeats are of now, what it sends is of an hour ago: that is how far it is."""
    kafka.create(f"__debezium-heartbeat.{prefix}", 1)
    hour_ago = now_ms() - 3600_000
    kafka.produce([table.create(row(1), partition=0, ts_ms=hour_ago),
                   table.create(row(2), partition=1, ts_ms=hour_ago - 5000), beat(prefix, now_ms())])
    sink.write({**pipeline(table), "topics": [table.topic, f"__debezium-heartbeat.{prefix}"]},
               database=database, kafka=True)
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 2)
    daemon.await_that(lambda: database.value(VIEW, "items") == hour_ago)
    daemon.stop()


def test_rows_that_come_between_two_looks_tell_that_their_connector_is_behind(sink, database, table, prefix):
    """Its heartbeat was known before any of its rows."""
    sink.write(pipeline(table), database=database)
    sink.replay([table.create(row(1))])
    group, item = "of this test", f"{prefix}.shop.items"
    now, hour_ago = now_ms(), now_ms() - 3600_000

    def store(topic, ms):
        database.execute("insert into ods_sink.offsets (consumer_group, topic, partition, next_offset, updated_at, "
                         "complete_to) values (%s, %s, 0, 1, now(), to_timestamp(%s / 1000.0))", group, topic, ms)

    def look(offsets, *beats):
        return database.execute(
            "select connector, round(extract(epoch from beat_at) * 1000)::bigint from ods_sink.freshen(%s, array[%s], "
            "array[0], array[%s]::bigint[], %s::text[], array(select to_timestamp(ms / 1000.0) from "
            "unnest(%s::bigint[]) ms))", group, item, offsets, [name for name, _ in beats], [ms for _, ms in beats])

    store(f"__debezium-heartbeat.{prefix}", now)
    beats = look(-1)
    assert beats == [(prefix, now)]
    store(item, hour_ago)
    assert look(1, *beats) == [(prefix, hour_ago)]
    assert database.value("select round(extract(epoch from complete_to) * 1000)::bigint from ods_sink.offsets "
                          "where consumer_group = %s and topic = %s", group, item) == hour_ago


def test_an_older_schema_is_upgraded(sink, database, table):
    """Offsets of a version that kept neither the time nor the cluster; the functions by which earlier
    versions move them stay."""
    sink.write(pipeline(table), database=database)
    sink.replay([table.create(row(1))])
    database.execute("drop view ods_sink.freshness; drop table ods_sink.silent_partitions; "
                     "drop function ods_sink.wait_until, ods_sink.freshen; "
                     "drop function ods_sink.advance(text, text[], int[], bigint[], bigint[], "
                     "timestamptz[]); drop function ods_sink.advance(text, text[], int[], bigint[], bigint[], "
                     "timestamptz[], text); alter table ods_sink.offsets drop column complete_to, "
                     "drop column cluster_id")
    assert "ods_sink is there, and will have what this version needs" in sink.check("--connect", expect=None).stdout
    sink.replay([table.create(row(1)), table.create(row(2), ts_ms=1_760_000_070_000)])
    assert database.value(VIEW, "items") == 1_760_000_070_000
    group, topic = database.execute("select consumer_group, topic from ods_sink.offsets")[0]
    database.execute("select ods_sink.advance(%s, array[%s], array[0], array[next_offset], "
                     "array[next_offset + 1]) from ods_sink.offsets", group, topic)
    assert database.value(VIEW, "items") == 1_760_000_070_000
    database.execute("select ods_sink.advance(%s, array[%s], array[0], array[next_offset], "
                     "array[next_offset + 1], array['2026-01-01'::timestamptz]) from ods_sink.offsets", group, topic)
    assert database.value("select next_offset from ods_sink.offsets") == 5  # three records, and two moves
