"""What the daemon itself looks at, on the real systems: it compares the target with its sources now and
then, and watches the logs from which the connectors read. MySQL and PostgreSQL, each with a connector,
two daemons of one group."""

import json
import random
import time

import pymysql
import pytest
from conftest import ROOT, build
from lib.connect import Connect
from lib.mysql import Source
from lib.postgres import Database, administer, create_database, drop_database
from lib.sink import Setup
from lib.waiting import wait_for

READER = "watch_reader"
BEAT = "insert into beat values (1, now()) on conflict (id) do update set at = now()"


class World:
    def __init__(self, stack, folder):
        stack.up("postgres", "mysql", "kafka", "connect")
        self.stack, self.mysql = stack, Source(stack)
        self.postgres = Database(stack, stack["POSTGRES_SOURCE_DATABASE"], "POSTGRES_SOURCE")
        self.prefix = f"watched-{random.randrange(10**6)}"
        self.slot = self.prefix.replace("-", "_")
        self.database = create_database(stack, "ods_watched")
        self.setups = [Setup(folder / name, build("asan"), stack) for name in ("one", "two")]
        self.connect = Connect(stack["CONNECT_URL"])
        self.rows = 0

    def begin(self):
        self.mysql.execute("create table parts (id int primary key, name varchar(40))")
        self.mysql.execute("create table others (id int primary key, name varchar(40))")
        for number in range(40):
            self.mysql.execute("insert into parts values (%s, %s)", (number, f"part {number}"))
            self.mysql.execute("insert into others values (%s, %s)", (number, f"other {number}"))
        root = self.root()
        for sql in (f"create user {READER}@'%' identified with mysql_native_password by 'reads'",
                    f"grant select on mks_finance_dw.* to {READER}@'%'",
                    f"grant replication client, replication slave on *.* to {READER}@'%'"):
            root.cursor().execute(sql)
        root.close()
        for sql in ("drop table if exists parts_pg, beat",
                    "create table parts_pg (id int primary key, name text)",
                    "create table beat (id int primary key, at timestamptz)",
                    "grant all on beat to debezium",
                    "insert into parts_pg select n, 'part ' || n from generate_series(1, 40) n"):
            self.postgres.execute(sql)
        self.register()
        for setup in self.setups:
            self.configure(setup)

    def root(self):
        return pymysql.connect(unix_socket=self.stack["MYSQL_SOCKET"], user="root", autocommit=True)

    def register(self):
        self.stack.connector(
            "register", ROOT / "config" / "connectors" / "mks_finance.json",
            f"name={self.prefix}-my", f"topic.prefix={self.prefix}-my",
            f"database.server.id={random.randrange(6000, 2**31)}",
            r"table.include.list=mks_finance_dw.parts,mks_finance_dw.others",
            "topic.creation.default.partitions=1",
            f"schema.history.internal.kafka.topic=history-{self.prefix}")
        self.stack.connector(
            "register", ROOT / "config" / "connectors" / "pg_finance.json",
            f"name={self.prefix}-pg", f"topic.prefix={self.prefix}-pg", f"slot.name={self.slot}",
            "table.include.list=public.parts_pg,public.beat",
            "topic.creation.default.partitions=1", "heartbeat.interval.ms=300",
            f"heartbeat.action.query={BEAT}")

    def configure(self, setup, every="1s", throttle=0, mode="full", **settings):
        stack = self.stack
        verify = {"verify": {"every": every, "mode": mode}} if every else {}
        setup.write(
            *({"name": name, "topics": [f"^{self.prefix}-{kind}\\..*"], "target": "ods",
               "database": name, "source": {"connector": connector}, "lanes": 1, **verify,
               "tables": {"beat": {"skip": True}}}
              for name, kind, connector in (("mysql", "my", "mysql"), ("pg", "pg", "postgresql"))),
            database=self.database, kafka=True, dead_letter={"topic": f"letters-{self.prefix}"},
            databases=[
                {"name": "mysql", "type": "mysql", "check_every": "300ms", "throttle": throttle,
                 "dsn": f"host=127.0.0.1 port={stack['MYSQL_PORT']} user={READER} "
                        "password='${READER_PASSWORD}' dbname=mks_finance_dw"},
                {"name": "pg", "type": "postgres", "check_every": "300ms", "throttle": throttle,
                 "slot": self.slot,
                 "dsn": f"host=127.0.0.1 port={stack['POSTGRES_SOURCE_PORT']} "
                        f"dbname={stack['POSTGRES_SOURCE_DATABASE']} "
                        f"user={stack['POSTGRES_SOURCE_USER']} "
                        "password=${ODS_STACK_POSTGRES_SOURCE_PASSWORD}"}], **settings)
        setup.conf.write_text(setup.conf.read_text().replace(setup.group, f"group-{self.prefix}"))

    def daemon(self, number):
        return self.setups[number].daemon(env={"READER_PASSWORD": "reads"})

    def command(self, *arguments, expect=0):
        return self.setups[0].run(*arguments, "-c", self.setups[0].conf, expect=expect,
                                  env={"READER_PASSWORD": "reads"}).stdout

    def kept(self, pipeline, column):
        rows = self.database.execute(f"select {column} from ods_sink.verify_runs "
                                     f"where consumer_group = 'group-{self.prefix}.{pipeline}'")
        return rows[0][0] if rows else None

    def close(self):
        try:
            for kind in ("my", "pg"):
                self.stack.connector("delete", "--offsets", f"name={self.prefix}-{kind}")
            for setup in self.setups:
                setup.close()
        finally:
            for table in ("parts", "others"):
                self.mysql.execute(f"drop table if exists {table}")
            slots = f"from pg_replication_slots where slot_name = '{self.slot}'"
            wait_for(lambda: self.postgres.value(f"select count(*) {slots} and active") == 0, 60,
                     "the slot is free")
            administer(self.stack, f"select pg_drop_replication_slot(slot_name) {slots}")
            self.postgres.execute("drop table if exists parts_pg, beat")
            self.mysql.close()
            self.postgres.close()
            self.database.close()
            drop_database(self.stack, self.database.name)


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory):
    world = World(stack, tmp_path_factory.mktemp("watched"))
    try:
        world.begin()
        yield world
    finally:
        world.close()


def page(daemon):
    return json.loads(daemon.get("/status")[1] or "{}")


def verify(daemon, pipeline):
    return next((one for one in page(daemon).get("verify", []) if one["pipeline"] == pipeline), {})


def last(daemon, pipeline):
    return verify(daemon, pipeline).get("last") or {}


def log_of(daemon, pipeline):
    source = next((one for one in page(daemon).get("sources", []) if one["pipeline"] == pipeline), {})
    return (source.get("logs") or [{}])[0]


def value(daemon, name, *labels):
    """The only metric of that name with these labels."""
    found = [line for line in daemon.get("/metrics")[1].splitlines()
             if line.startswith(f"ods_sink_{name}{{") and all(label in line for label in labels)]
    return float(found[0].rsplit(" ", 1)[1]) if found else None


def test_it_compares(world):
    one, two = world.daemon(0), world.daemon(1)
    database = world.database
    for pipeline, tables in (("mysql", 2), ("pg", 1)):
        for daemon in (one, two):  # whoever did it
            daemon.await_that(lambda: last(daemon, pipeline).get("result") == "equal" and
                              last(daemon, pipeline)["results"]["equal"] == tables, 120, "equal")
    report = last(two, "mysql")
    assert [(table["table"], table["source_rows"], table["missing"]) for table in report["tables"]] == [
        ("mks_finance_dw.others", 40, 0), ("mks_finance_dw.parts", 40, 0)]
    # Rows of the target that nobody has sent: found, named by key, and told by the metrics.
    database.execute("update parts set name = 'secret' where id = 7")
    database.execute("delete from parts where id = 8")
    database.execute("update parts_pg set name = 'secret' where id = 9")
    daemon = two
    daemon.await_that(lambda: (value(two, "verify_differences", 'pipeline="mysql"', '"changed"'),
                               value(two, "verify_differences", 'pipeline="mysql"', '"missing"'),
                               value(two, "verify_differences", 'pipeline="pg"', '"changed"')) ==
                      (1, 1, 1), 120, lambda: json.dumps(page(two), indent=1))
    report = last(one, "mysql") if last(one, "mysql")["result"] == "differs" else last(two, "mysql")
    parts = next(table for table in report["tables"] if table["table"].endswith(".parts"))
    assert sorted((d["kind"], d["key"], d["columns"]) for d in parts["differences"]) == [
        ("changed", {"id": "7"}, ["name"]), ("missing", {"id": "8"}, [])]
    assert "secret" not in one.get("/status")[1] + two.get("/status")[1] + one.log() + two.log()
    assert any("table mks_finance_dw.parts: 1 rows are missing, 0 extra, 1 changed" in d.log()
               for d in (one, two))
    # The process that is asked hears of another one's run through the target, within seconds.
    def told():
        said = world.command("status", expect=None)
        return "mks_finance_dw.parts: 1 missing, 0 extra, 1 changed" in said and "differs" in said

    wait_for(told, 60, lambda: world.command("status", expect=None))
    # Never two at a time: each run is ended by the one that began it.
    for pipeline in ("mysql", "pg"):
        running = {daemon.setup.folder.name for daemon in (one, two)
                   if verify(daemon, pipeline).get("running")}
        assert len(running) < 2
    database.execute("update parts set name = 'part 7' where id = 7")
    database.execute("insert into parts (id, name, cdc_operation) values (8, 'part 8', 'c')")
    database.execute("update parts_pg set name = 'part 9' where id = 9")
    for pipeline in ("mysql", "pg"):
        one.await_that(lambda: last(one, pipeline).get("result") == "equal", 120, "equal again")
    # A table that is paused is not compared, and nobody waits for it.
    world.command("pause", "parts", "--reason", "a test")
    world.mysql.execute("update parts set name = 'later' where id = 3")
    world.mysql.execute("update others set name = 'later' where id = 3")

    def told():
        tables = {table["table"].split(".")[1]: table for table in last(one, "mysql").get("tables", [])}
        return tables.get("parts", {}).get("result") == "not compared" and \
            "it is paused since" in tables["parts"]["why"] and tables["others"]["result"] == "equal"

    one.await_that(told, 120, lambda: json.dumps(last(one, "mysql"), indent=1))
    world.command("resume", "parts")
    one.await_that(lambda: last(one, "mysql").get("result") == "equal", 120, "equal after it")
    # What one leaves undone another goes on with.
    one.stop()
    ended = last(two, "mysql")["ended_at"]
    two.await_that(lambda: last(two, "mysql")["ended_at"] > ended, 120, "the other one does it")
    two.stop()


def test_a_stop_ends_it_and_the_next_start_goes_on(world):
    """Two rows a second: the first table takes 20 s, so the stop comes in the middle."""
    world.configure(world.setups[0], every="1h", throttle=2)
    if world.database.exists("ods_sink.verify_runs"):
        world.database.execute("delete from ods_sink.verify_runs")
    daemon = world.daemon(0)
    daemon.await_that(lambda: verify(daemon, "mysql").get("running") and
                      (verify(daemon, "mysql")["source_rows"] > 4), 120, "under way")
    began = time.monotonic()
    daemon.stop()
    assert not daemon.gave_up() and "still not done" not in daemon.log()
    assert time.monotonic() - began < 10  # the daemon's shutdown time
    assert world.kept("mysql", "began_at is not null and report is null")

    world.configure(world.setups[0], every="1h")
    began_at = world.kept("mysql", "extract(epoch from began_at)::bigint")
    daemon = world.daemon(0)
    daemon.await_that(lambda: last(daemon, "mysql").get("result") == "equal", 120, "the rest")
    assert int(last(daemon, "mysql")["began_at"]) in (began_at, began_at - 1, began_at + 1)
    ended = last(daemon, "mysql")["ended_at"]
    daemon.await_that(lambda: last(daemon, "pg"), 60, "the other pipeline too")
    daemon.stop()
    daemon = world.daemon(0)  # it was done within the hour
    daemon.await_that(lambda: last(daemon, "mysql") and not verify(daemon, "pg")["running"], 60, "kept")
    assert last(daemon, "mysql")["ended_at"] == ended
    assert verify(daemon, "mysql")["next_at"] > time.time() + 3000
    daemon.stop()


def test_logs_that_wait(world):
    """The connectors stop: the slot is kept by nobody, and the binary log goes on without its reader."""
    connect = {"url": f"http://127.0.0.1:1,{world.stack['CONNECT_URL']}"}
    world.configure(world.setups[0], every=None, connect=connect)
    daemon = world.daemon(0)
    daemon.await_that(lambda: [log_of(daemon, pipeline).get("state") for pipeline in ("mysql", "pg")]
                      == ["ok", "ok"], 60, lambda: json.dumps(page(daemon).get("sources"), indent=1))
    # Records tell the connector's place as well, until Connect has answered.
    daemon.await_that(lambda: log_of(daemon, "mysql").get("connector_from") == "connect", 60,
                      lambda: json.dumps(page(daemon).get("sources"), indent=1))
    slot, binlog = log_of(daemon, "pg"), log_of(daemon, "mysql")
    assert (slot["slot"], slot["active"]) == (world.slot, True)
    assert binlog["oldest"] <= binlog["connector"]["file"] <= binlog["newest"]
    assert binlog["connector_from"] == "connect"
    assert binlog["left_seconds"] > 3600 and binlog["kept_bytes"] >= binlog["connector"]["position"]
    for kind in ("my", "pg"):
        world.connect.insist("PUT", f"/connectors/{world.prefix}-{kind}/stop")
    # PostgreSQL: nobody reads, and what is written is kept.
    daemon.await_that(lambda: log_of(daemon, "pg")["state"] == "inactive", 60, "nobody reads")
    before = log_of(daemon, "pg")["retained_bytes"]
    world.postgres.execute("create table filler as select repeat('x', 1000) from generate_series(1, 3000)")
    world.postgres.execute("drop table filler")
    daemon.await_that(lambda: log_of(daemon, "pg")["retained_bytes"] > before + 2_000_000, 60, "kept")
    assert value(daemon, "source_slot_active", world.slot) == 0
    assert value(daemon, "source_slot_inactive_seconds", world.slot) > 0
    assert value(daemon, "source_log_retained_bytes", world.slot) > before + 2_000_000
    assert value(daemon, "source_log_lost", world.slot) == 0
    daemon.await_that(lambda: f"nobody reads slot {world.slot}" in daemon.log(), 30, "a warning")
    assert daemon.log().count("nobody reads slot") == 1
    said = world.command("status", expect=None)
    assert world.slot in said and "inactive" in said
    # MySQL: the log goes on, and its old files are purged.
    root = world.root()
    with root.cursor() as cursor:
        cursor.execute("flush binary logs")
        world.mysql.execute("update others set name = 'unread' where id = 4")
        daemon.await_that(lambda: log_of(daemon, "mysql")["newest"] != binlog["newest"], 60, "a file")
        assert log_of(daemon, "mysql")["unread_bytes"] > 0
        assert log_of(daemon, "mysql")["state"] == "ok"
        cursor.execute("flush binary logs")
        cursor.execute("show binary logs")
        cursor.execute("purge binary logs to %s", (cursor.fetchall()[-1][0],))
    root.close()
    daemon.await_that(lambda: log_of(daemon, "mysql")["state"] == "lost", 60, "the loss")
    assert value(daemon, "source_log_lost", 'pipeline="mysql"') == 1
    assert value(daemon, "source_log_left_seconds", 'pipeline="mysql"') == 0
    daemon.await_that(lambda: "one that stands there can't go on" in daemon.log(), 30, "an error")
    assert "the binary log begins with" in world.command("status", expect=None)
    # PostgreSQL again: the slot goes.
    world.connect.insist("DELETE", f"/connectors/{world.prefix}-pg")
    administer(world.stack, f"select pg_drop_replication_slot('{world.slot}')")
    daemon.await_that(lambda: f"has no logical replication slot {world.slot}" in
                      (log_of(daemon, "pg").get("why") or ""), 60, "the slot is gone")
    assert page(daemon)["lanes"]  # which all that has not disturbed
    daemon.stop()
