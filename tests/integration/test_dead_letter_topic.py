"""The dead-letter topic: what stands in a letter's headers, and a topic that does not take one."""

import json
import re

import pytest
from lib.records import INT, TEXT, Table, pipeline


@pytest.fixture
def narrow(database):
    database.execute("create table items (id int primary key, name varchar(10), amount int "
                     "constraint amount_is_positive check (amount > 0), "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    return database


def good(table, number):
    return table.create({"id": number, "name": f"n{number}", "amount": 1})


def too_long(table, number, characters=11):
    return table.create({"id": number, "name": "x" * characters, "amount": 1})


def stored(database):
    return list(database.offsets().values())


def test_headers_are_those_of_connect_and_more(sink, narrow, kafka, table, prefix):
    letters = kafka.create(f"{prefix}.letters", 1)
    kafka.produce([good(table, 0), table.record("{}", "not JSON"), too_long(table, 2),
                   table.create({"id": 3, "name": "n", "amount": -1})])
    sink.write(pipeline(table), database=narrow, kafka=True, dead_letter={"topic": letters})
    daemon = sink.daemon()
    daemon.await_that(lambda: stored(narrow) == [4], what="the end")
    daemon.stop()
    decode, cut, check = ({name: value.decode() for name, value in message.headers()}
                          for message in kafka.read(letters))
    for offset, told in enumerate((decode, cut, check), 1):
        connect = {name.removeprefix("__connect.errors."): value for name, value in told.items()
                   if name.startswith("__connect.errors.")}
        assert set(connect) == {"topic", "partition", "offset", "connector.name", "task.id",
                                "stage", "class.name", "exception.class.name",
                                "exception.message", "exception.stacktrace"}
        assert (connect["topic"], connect["partition"], connect["offset"]) == \
            (table.topic, "0", str(offset))
        assert connect["connector.name"] == told["ods.pipeline"] == "items"
        assert connect["task.id"] in ("0", "1")
        assert connect["exception.message"] == told["ods.error"]
        trace = connect["exception.stacktrace"]
        assert trace.startswith(f"{connect['exception.class.name']}: {told['ods.error']}\n\tat ")
    assert decode["__connect.errors.stage"] == "VALUE_CONVERTER"
    assert decode["__connect.errors.class.name"] == "ods_sink.decoder.debezium"
    assert decode["__connect.errors.exception.class.name"] == "ods_sink.DecodeReject"
    assert {"ods.code", "ods.sqlstate", "ods.table", "ods.column"}.isdisjoint(decode)
    assert cut["__connect.errors.stage"] == "TASK_PUT"
    assert cut["__connect.errors.class.name"] == "ods_sink.sink.postgres"
    assert cut["__connect.errors.exception.class.name"] == "ods_sink.ApplyReject.SQLSTATE_22001"
    assert cut["ods.code"] == "22001"
    assert (cut["ods.sqlstate"], cut["ods.table"]) == ("22001", "shop.items")
    assert (check["ods.sqlstate"], check["ods.table"], check["ods.constraint"]) == \
        ("23514", "shop.items", "amount_is_positive")


def test_lane_waits_for_a_topic_that_takes_no_record_as_large(sink, narrow, kafka, table, prefix):
    """One letter of three is too large. The two others are there once, however often the third is
    tried; nothing of the batch counts before it is there too."""
    letters = kafka.create(f"{prefix}.letters", 1, max_message_bytes=20000)
    kafka.produce([good(table, 0), too_long(table, 1), too_long(table, 2, 30000),
                   too_long(table, 3), good(table, 4)])
    sink.write(pipeline(table), database=narrow, kafka=True, dead_letter={"topic": letters})
    daemon = sink.daemon()
    daemon.await_that(lambda: (daemon.metric("ods_sink_retries_total") or 0) >= 3, what="tries")
    assert stored(narrow) in ([], [1]), "what is set aside is not passed before it is acknowledged"
    assert narrow.count("items") <= 1
    code, page = daemon.get("/readyz")
    assert code == 503 and letters in page and "max.message.bytes" in page
    assert daemon.get("/healthz")[0] == 200
    daemon.await_that(lambda: any(lane["state"] == "waiting" and "offset 2" in lane["last_error"]
                                  and lane["target_reachable"]
                                  and not lane["dead_letters_reachable"]
                                  for lane in json.loads(daemon.get("/status")[1])["lanes"]),
                      what="the lane's state")
    assert re.search(rf" warn .*topic {re.escape(table.topic)} partition 0 offset 2", daemon.log())
    assert kafka.count(letters) == 2
    kafka.alter(letters, max_message_bytes=200000)
    daemon.await_that(lambda: stored(narrow) == [5], what="the end")
    daemon.await_ready().stop()
    assert narrow.execute("select id from items order by id") == [(0,), (4,)]
    offsets = [dict(message.headers())["ods.offset"] for message in kafka.read(letters)]
    assert sorted(offsets) == [b"1", b"2", b"3"], "each letter once"


def test_letters_that_fit_one_by_one(sink, narrow, kafka, table, prefix):
    """Sent together they are larger than what the topic takes at once."""
    letters = kafka.create(f"{prefix}.letters", 1, max_message_bytes=20000)
    kafka.produce([too_long(table, number, 4000) for number in range(50)])
    sink.write(pipeline(table), database=narrow, kafka=True, dead_letter={"topic": letters})
    daemon = sink.daemon()
    daemon.await_that(lambda: stored(narrow) == [50], what="the end")
    daemon.stop()
    assert kafka.count(letters) == 50


def test_letters_wait_while_kafka_is_away(sink, database, kafka, stack, prefix):
    """Kafka goes between the record and its letter: only PostgreSQL finds that it is a bad one."""
    table = Table(prefix=prefix, columns={"id": INT, "name": TEXT})
    kafka.create(table.topic, 1)
    letters = kafka.create(f"{prefix}.letters", 1)
    database.execute("create table items (id int primary key, name text check (name <> 'x'), "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    sink.write(pipeline(table), database=database, kafka=True, dead_letter={"topic": letters})
    daemon = sink.daemon()
    kafka.produce([table.create({"id": 1, "name": "a"})])
    daemon.await_that(lambda: stored(database) == [1], what="the first row")
    blocker = database.connect()
    blocker.autocommit = False
    blocker.cursor().execute("lock table items in access exclusive mode")
    kafka.produce([table.create({"id": 2, "name": "x"}), table.create({"id": 3, "name": "b"})])
    waiting = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' " \
        "and datname = current_database()"
    daemon.await_that(lambda: database.value(waiting), what="a lane that has the records")
    stack.down("kafka")
    try:
        blocker.rollback()
        blocker.close()
        daemon.await_that(lambda: daemon.get("/readyz")[0] == 503, what="not ready")
        assert stored(database) == [1] and database.count("items") == 1
    finally:
        stack.up("kafka")
    daemon.await_that(lambda: stored(database) == [3], 90, "the end")
    daemon.stop()
    assert kafka.count(letters) == 1 and database.count("items") == 2
