"""The daemon as an operator meets it: starts and stops, outages, topics, several pipelines."""

import json
import signal
import socket

import pytest
from lib.records import Table, pipeline, row
from lib.sink import Exit, free_port
from lib.waiting import wait_for

PARTITIONS = 4  # of the table's topic


def produce(kafka, table, numbers, partitions=4):
    kafka.produce([table.create(row(number), partition=number % partitions) for number in numbers])


def await_rows(daemon, database, count, table="items", timeout_s=60):
    daemon.await_that(lambda: database.count(table) >= count, timeout_s, f"{count} rows in {table}")
    assert database.count(table) == count


def start(sink, database, table, **settings):
    sink.write(pipeline(table), database=database, kafka=True, **settings)
    return sink.daemon()


def test_sigterm_finishes_and_loses_nothing(sink, database, kafka, table):
    produce(kafka, table, range(20000))
    daemon = start(sink, database, table, batch={"max_events": 500})
    daemon.await_that(lambda: database.count("items") > 0, what="the first rows")
    daemon.stop()
    left_off = database.count("items")
    assert sum(database.offsets().values()) == left_off, "rows and offsets are of one transaction"
    kafka_offsets = [max(offset, 0) for offset in
                     kafka.committed(f"{sink.group}.items", table.topic, 4)]
    assert sum(kafka_offsets) == left_off, "committed to the group before leaving it"
    daemon = sink.daemon()
    await_rows(daemon, database, 20000)
    daemon.stop()


def test_second_sigterm_ends_at_once(sink, database, kafka, table, stack):
    """The writer hangs on a lock, so that the first one alone would take an hour."""
    produce(kafka, table, range(10))
    daemon = start(sink, database, table, shutdown_timeout_ms=3600000, targets=[{
        "name": "ods", "type": "postgres", "dsn": database.dsn, "lock_timeout_ms": 0}])
    await_rows(daemon, database, 10)
    blocker = database.connect()
    blocker.autocommit = False
    blocker.cursor().execute("lock table items in access exclusive mode")
    produce(kafka, table, range(10, 20))
    waiting = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' " \
        "and datname = current_database()"
    daemon.await_that(lambda: database.value(waiting), what="a lane that waits for the lock")
    daemon.signal(signal.SIGTERM)
    daemon.await_that(lambda: "stop" in daemon.log().lower(), what="the stop begins")
    daemon.signal(signal.SIGTERM)
    daemon.process.wait(60)
    blocker.rollback()
    blocker.close()
    # What the server had in hand it may still finish: whole, with its offsets, or not at all.
    alone = "select count(*) = 0 from pg_stat_activity where datname = current_database() " \
        "and pid <> pg_backend_pid()"
    wait_for(lambda: database.value(alone), what="the server is done with the connections")
    assert database.count("items") == sum(database.offsets().values())


def test_sigterm_ends_in_time_although_the_target_hangs(sink, database, kafka, table):
    produce(kafka, table, range(10))
    daemon = start(sink, database, table, shutdown_timeout_ms=1000, targets=[{
        "name": "ods", "type": "postgres", "dsn": database.dsn, "lock_timeout_ms": 0}])
    await_rows(daemon, database, 10)
    blocker = database.connect()
    blocker.autocommit = False
    blocker.cursor().execute("lock table items in access exclusive mode")
    produce(kafka, table, range(10, 20))
    waiting = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' " \
        "and datname = current_database()"
    daemon.await_that(lambda: database.value(waiting), what="a lane that waits for the lock")
    daemon.stop()  # the lock is there for good
    blocker.rollback()
    blocker.close()
    daemon = sink.daemon()
    await_rows(daemon, database, 20)
    daemon.stop()


def test_sigint_is_as_good(sink, database, kafka, table):
    daemon = start(sink, database, table).await_ready()
    daemon.signal(signal.SIGINT)
    assert daemon.process.wait(10) == Exit.OK
    assert not daemon.gave_up(), daemon.tail()


def test_starts_where_the_target_stands(sink, database, kafka, table):
    """The group's offsets in Kafka do not count where the target has its own."""
    produce(kafka, table, range(100))
    daemon = start(sink, database, table)
    await_rows(daemon, database, 100)
    daemon.stop()
    # As if a backup from before some of the rows had been restored.
    database.execute("delete from items where id % 4 = 0 and id >= 40")
    database.execute("update ods_sink.offsets set next_offset = 10 where partition = 0")
    daemon = sink.daemon()
    await_rows(daemon, database, 100)
    daemon.stop()


def test_sighup_takes_over_the_log_level(sink, database, kafka, table):
    daemon = start(sink, database, table, log={"level": "error"}).await_ready()
    sink.write(pipeline(table), database=database, kafka=True,
               log={"level": "info", "format": "json"}, lanes=3)
    daemon.signal(signal.SIGHUP)

    def told():
        lines = [line for line in daemon.log().splitlines() if line.startswith("{")]
        return any("lanes" in json.loads(line).get("message", line) for line in lines)

    daemon.await_that(told, what="a JSON line that says that lanes waits for a restart")
    produce(kafka, table, range(10))
    await_rows(daemon, database, 10)
    daemon.stop()


def test_sighup_with_a_wrong_file_changes_nothing(sink, database, kafka, table):
    daemon = start(sink, database, table).await_ready()
    sink.conf.write_text("lanes = ;\n")
    daemon.signal(signal.SIGHUP)
    daemon.await_that(lambda: "is not valid: going on with the settings as they were" in daemon.log(),
                      what="the error in the log")
    produce(kafka, table, range(10))
    await_rows(daemon, database, 10)
    daemon.stop()


def test_postgresql_that_is_not_up_at_the_start_is_waited_for(sink, database, kafka, table, stack):
    produce(kafka, table, range(1000))
    database.close()
    stack.down("postgres")
    try:
        daemon = start(sink, database, table)
        daemon.await_that(lambda: daemon.get("/healthz")[0] == 200, what="healthy")
        daemon.await_that(lambda: "refused" in daemon.log().lower(), what="the outage in the log")
        daemon.await_that(lambda: "target" in daemon.get("/readyz")[1], what="the reason")
        assert daemon.get("/readyz")[0] == 503
    finally:
        stack.up("postgres")
    await_rows(daemon, database, 1000)
    daemon.await_that(lambda: daemon.get("/readyz")[0] == 200, what="ready")
    assert daemon.log().lower().count("connection refused") <= 6, "an outage is told once, then rarely"
    daemon.stop()


def test_postgresql_stopped_and_started_during_load(sink, database, kafka, table, stack):
    daemon = start(sink, database, table, batch={"max_events": 200})
    produce(kafka, table, range(2000))
    daemon.await_that(lambda: database.count("items") > 0, what="the first rows")
    for turn in range(1, 3):
        database.close()
        stack.down("postgres")
        produce(kafka, table, range(turn * 2000, (turn + 1) * 2000))
        stack.up("postgres")
    await_rows(daemon, database, 6000)
    daemon.await_that(lambda: sum(database.offsets().values()) == 6000, what="the end")
    daemon.stop()


def test_connections_cut_during_load(sink, database, kafka, table):
    """Each cut hits a batch at another moment, also in its commit."""
    produce(kafka, table, range(20000))
    database.execute("create table appended (n bigserial, id int)")
    daemon = start(sink, database, table, batch={"max_events": 100})
    for _ in range(30):
        before = database.count("items")
        database.end_sessions()
        daemon.await_that(lambda: database.count("items") > before or before == 20000,
                          what="more rows after a cut")
    await_rows(daemon, database, 20000)
    daemon.await_that(lambda: sum(database.offsets().values()) == 20000, what="the end")
    daemon.stop()


def test_kafka_stopped_and_started_during_load(sink, database, kafka, table, stack):
    daemon = start(sink, database, table, batch={"max_events": 200})
    produce(kafka, table, range(3000))
    await_rows(daemon, database, 3000)
    stack.down("kafka")
    try:
        daemon.await_that(lambda: daemon.get("/readyz")[0] == 503, what="not ready")
        assert daemon.get("/healthz")[0] == 200
    finally:
        stack.up("kafka")
    produce(kafka, table, range(3000, 6000))
    await_rows(daemon, database, 6000, timeout_s=90)
    daemon.await_that(lambda: daemon.get("/readyz")[0] == 200, what="ready again")
    daemon.stop()


def test_one_topic_fans_out_to_two_targets(sink, databases, kafka, table):
    first, second = databases(), databases()
    produce(kafka, table, range(500))
    kafka.produce([table.delete(row(0), partition=0), table.tombstone(row(0), partition=0)])
    sink.write(
        pipeline(table, name="copy", target="first", defaults={"on_delete": "hard"}),
        pipeline(table, name="mirror", target="second",
                 defaults={"schema": "audit", "on_delete": "soft"}),
        pipeline(table, name="short", target="second", lanes=1,
                 tables={"items": {"target": "names", "columns": {"include": ["id", "name"]}}}),
        kafka=True, targets=[{"name": "first", "type": "postgres", "dsn": first.dsn},
                             {"name": "second", "type": "postgres", "dsn": second.dsn}])
    daemon = sink.daemon()
    ends = [(first, "items", 499), (second, "audit.items", 500), (second, "names", 500)]
    for database, name, count in ends:
        daemon.await_that(lambda: database.count(name) == count, what=f"{count} rows in {name}")
    assert second.count("audit.items", "cdc_operation = 'd'") == 1
    assert {key[0] for key in second.offsets()} == {f"{sink.group}.mirror", f"{sink.group}.short"}
    daemon.stop()


def test_topic_that_appears_later(sink, database, kafka, prefix):
    early, late = Table("early", prefix=prefix), Table("late", prefix=prefix)
    kafka.create(early.topic, 2)
    sink.write(pipeline(f"^{prefix}\\..*"), database=database, kafka=True)
    daemon = sink.daemon()
    produce(kafka, early, range(10), partitions=2)
    await_rows(daemon, database, 10, "early")
    kafka.create(late.topic, 2)
    produce(kafka, late, range(20), partitions=2)
    await_rows(daemon, database, 20, "late")
    daemon.stop()


def test_daemon_before_its_topic(sink, database, kafka, prefix):
    table = Table(prefix=prefix)
    daemon = start(sink, database, table)
    daemon.await_that(lambda: daemon.get("/healthz")[0] == 200, what="healthy")
    kafka.create(table.topic, 4)
    produce(kafka, table, range(10))
    await_rows(daemon, database, 10)
    daemon.stop()


def test_partitions_move_between_daemons(sink, database, kafka, table, tmp_path):
    """Scaling out: a second daemon takes partitions over under load, then the first one leaves."""
    sink.write(pipeline(table), database=database, kafka=True, batch={"max_events": 100})
    first = sink.daemon().await_ready()
    produce(kafka, table, range(5000))
    first.await_that(lambda: database.count("items") > 0, what="the first rows")
    sink.http_port = free_port()
    sink.write(pipeline(table), database=database, kafka=True, batch={"max_events": 100})
    second = sink.daemon().await_ready()
    produce(kafka, table, range(5000, 10000))
    second.await_that(lambda: second.metric("ods_sink_records_total") > 0,
                      what="the second one works")
    first.stop()
    produce(kafka, table, range(10000, 12000))
    await_rows(second, database, 12000)
    second.await_that(lambda: sum(database.offsets().values()) == 12000, what="the end")
    second.stop()


def test_what_was_passed_over_is_counted(sink, database, kafka, prefix):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.create(prefix, 1)
    schema_change = {"source": {"connector": "mysql", "db": "shop"}, "ts_ms": 1,
                     "databaseName": "shop", "ddl": "create table items (id int)",
                     "tableChanges": []}
    kafka.produce([table.create(row(1)), table.delete(row(1)), table.tombstone(row(1)),
                   {"topic": prefix, "partition": 0, "key": '{"databaseName": "shop"}',
                    "payload": json.dumps(schema_change)}])
    sink.write(pipeline(f"^{prefix}.*"), database=database, kafka=True)
    daemon = sink.daemon()
    daemon.await_that(lambda: daemon.metric("ods_sink_records_total") == 4, what="four records")
    page = daemon.get("/metrics")[1]
    counted = [float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
               if 'reason="schema_change"' in line]
    assert sum(counted) == 1
    daemon.stop()


def test_endpoints(sink, database, kafka, table):
    produce(kafka, table, range(100))
    daemon = start(sink, database, table).await_ready()
    await_rows(daemon, database, 100)
    daemon.await_that(lambda: daemon.metric("ods_sink_records_total") == 100, what="the count")
    assert daemon.get("/healthz") == (200, "ok\n")
    assert daemon.get("/nothing")[0] == 404
    daemon.await_that(lambda: sum(part["lag"] or 0 for part in parts(daemon)) == 0 and
                      len(parts(daemon)) == 4, what="no lag on four partitions")
    state = json.loads(daemon.get("/status")[1])
    assert {lane["pipeline"] for lane in state["lanes"]} == {"items"}
    assert sum(lane["records"] for lane in state["lanes"]) == 100
    daemon.stop()


def parts(daemon):
    lanes = json.loads(daemon.get("/status")[1])["lanes"]
    return [partition for lane in lanes for partition in lane["partitions"]]


def test_metrics_are_what_prometheus_reads(sink, database, kafka, table):
    produce(kafka, table, range(10))
    daemon = start(sink, database, table).await_ready()
    await_rows(daemon, database, 10)
    types = {}
    for line in daemon.get("/metrics")[1].splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in types, f"{name} stands twice"
            types[name] = kind
        elif not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            float(value)
            family = name.split("{")[0]
            stems = [family] + [family.removesuffix(end) for end in ("_bucket", "_sum", "_count")]
            assert any(stem in types for stem in stems), f"{family} has no TYPE"
    assert "counter" in types.values() and "histogram" in types.values()
    daemon.stop()


def test_systemd_is_told(sink, database, kafka, table, tmp_path):
    """READY, WATCHDOG and STOPPING arrive at the socket that systemd would name."""
    address = f"\0ods-test-{free_port()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(address)
        notify.settimeout(20)
        sink.write(pipeline(table), database=database, kafka=True)
        daemon = sink.daemon(env={"NOTIFY_SOCKET": "@" + address[1:], "WATCHDOG_USEC": "600000"})
        await_message(notify, "READY=1")
        await_message(notify, "WATCHDOG=1")
        await_message(notify, "WATCHDOG=1")
        daemon.signal(signal.SIGTERM)
        await_message(notify, "STOPPING=1")
        assert daemon.process.wait(10) == Exit.OK


def await_message(notify, wanted):
    while wanted not in notify.recv(4096).decode().splitlines():
        pass


def test_port_that_is_taken(sink, database, kafka, table):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        daemon = start(sink, database, table,
                       http={"listen": f"127.0.0.1:{other.getsockname()[1]}"})
        assert daemon.process.wait(20) == Exit.CONFIG
        assert "in use" in daemon.log()


def test_wrong_password_is_an_outage_of_the_target(sink, database, kafka, table):
    """It may be put right at the server; so the daemon waits and says why it is not ready."""
    dsn = database.dsn.replace("password=${ODS_STACK_POSTGRES_PASSWORD}", "password=wr0ng-secret")
    daemon = start(sink, database, table,
                   targets=[{"name": "ods", "type": "postgres", "dsn": dsn}])
    daemon.await_that(lambda: "password authentication failed" in daemon.log(), what="the reason")
    assert "wr0ng-secret" not in daemon.log()
    code = daemon.process.poll()
    assert code in (None, Exit.TARGET)
    if code is None:
        daemon.stop()
