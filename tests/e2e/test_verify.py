"""verify against the real systems: MySQL, Debezium, Kafka, a daemon, PostgreSQL. What is planted in the
target is found, and nothing else, while changes stream; nobody cries wolf when something stands still."""

import json
import os
import random
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import pymysql
import pytest
from conftest import ROOT, build
from lib.mysql import Source
from lib.postgres import create_database, drop_database
from lib.sink import Setup
from workload import EVERY_TYPE, PAIRS, Workload

EQUAL, DIFFERS, CANT_TELL = 0, 1, 6
TABLES = ("customers", "every_type", "pairs")
WORDS = """create table words (word varchar(40) collate utf8mb4_0900_ai_ci primary key, n int)"""
NOKEY = """create table nokey (a int, b varchar(20), c decimal(10,2))"""
READER = "verify_reader"


class World:
    """One of all, for the module: a connector, a daemon, a database."""

    def __init__(self, stack, folder):
        stack.up("postgres", "mysql", "kafka", "connect")
        self.stack, self.source = stack, Source(stack)
        self.prefix = f"verify-{random.randrange(10**6)}"
        self.database = create_database(stack, "ods_verify")
        self.sink = Setup(folder, build("release"), stack)
        self.daemon = None
        self.random = random.Random(7)

    def begin(self):
        self.source.script((ROOT / "sql" / "mks_finance" / "source.sql").read_text())
        for sql in (EVERY_TYPE, PAIRS, WORDS, NOKEY):
            self.source.execute(sql)
        for table in TABLES:
            self.source.execute(f"delete from {table}")
        self.grant()
        workload = Workload(self.source, 11)
        for table in TABLES:
            workload.insert(table, 60)
        for word in ("Anna", "bertha", "Çelik", "côte", "cote1", "Zoë", "ägypten", "a b", "_", "~x",
                     "日本", "😀"):
            self.source.execute("insert into words values (%s, %s)", (word, len(word)))
        for number in range(30):
            self.source.execute("insert into nokey values (%s, %s, %s)",
                                (number % 7, f"t{number % 5}", number % 3))
        self.stack.connector(
            "register", ROOT / "config" / "connectors" / "mks_finance.json", f"name={self.prefix}",
            f"topic.prefix={self.prefix}", f"database.server.id={random.randrange(6000, 2**31)}",
            f"schema.history.internal.kafka.topic=history-{self.prefix}",
            "topic.creation.groups=ordered", r"topic.creation.ordered.include=.*\.nokey",
            "topic.creation.ordered.partitions=1", "topic.creation.ordered.replication.factor=1")
        self.configure()
        self.daemon = self.sink.daemon(env={"VERIFY_PASSWORD": "reads only"})
        self.await_arrival()

    def grant(self):
        """A user with the rights that docs/cli/verify.md names, and no others."""
        root = pymysql.connect(unix_socket=self.stack["MYSQL_SOCKET"], user="root", autocommit=True)
        with root.cursor() as cursor:
            cursor.execute(f"create user {READER}@'%' identified with mysql_native_password "
                           "by 'reads only'")
            cursor.execute(f"grant select on mks_finance_dw.* to {READER}@'%'")
            cursor.execute("grant replication client, replication slave on *.* to "
                           f"{READER}@'%'")
        root.close()

    def configure(self, user=READER, password="${VERIFY_PASSWORD}", tables=None, **database):
        self.sink.write(
            {"name": "finance", "topics": [f"^{self.prefix}(\\..*)?$"], "format": "debezium",
             "target": "ods", "database": "shop", "source": {"connector": "mysql"},
             "defaults": {"on_delete": "soft"}, "tables": tables or {}},
            database=self.database, kafka=True, dead_letter={"topic": f"letters-{self.prefix}"},
            databases=[{"name": "shop", "type": "mysql",
                        "dsn": f"host=127.0.0.1 port={self.stack['MYSQL_PORT']} user={user} "
                               f"password='{password}' dbname=mks_finance_dw", **database}])

    def environment(self):
        return {**self.stack.environment(), "VERIFY_PASSWORD": "reads only",
                "XDG_STATE_HOME": str(self.sink.folder / "state")}

    def command(self, *arguments):
        return [self.sink.binary, "verify", "-c", self.sink.conf, *map(str, arguments)]

    def verify(self, *arguments, expect=None, timeout_s=180):
        """Exit code and report."""
        done = subprocess.run(self.command("--json", *arguments), text=True, capture_output=True,
                              timeout=timeout_s, env=self.environment())
        assert "Sanitizer" not in done.stderr, done.stderr
        assert expect is None or done.returncode == expect, done.stdout + done.stderr
        return done.returncode, json.loads(done.stdout)

    def arrived(self):
        """A marker that was written last has come, in each partition that there is."""
        for number in range(64):
            self.source.execute("replace into pairs values (%s, %s, 1)", (-number - 1, self.mark))
        return self.database.count("pairs", f"b = '{self.mark}'") >= 64

    def await_arrival(self):
        self.mark = f"m{time.time_ns()}"[:20]
        self.daemon.await_that(self.arrived, 120, "the markers")
        self.daemon.await_that(
            lambda: all(self.database.exists(table) for table in (*TABLES, "words", "nokey")), 60,
            "the tables")

    @contextmanager
    def changes(self, rate=2000):
        """So many changes a second, of rows and tables that are looked at too."""
        stop, made, failed = threading.Event(), [0], []

        def run():
            source = Source(self.stack)
            choose = random.Random(3)
            try:
                began = time.monotonic()
                while not stop.is_set():
                    rows = [(choose.randrange(10**6), choose.randrange(1, 40)) for _ in range(20)]
                    for income, key in rows:
                        source.execute("update customers set monthly_income = %s where "
                                       "customer_id %% 40 = %s", (income, key))
                        made[0] += 2
                    source.execute("update pairs set v = v + 1 where a >= 0")
                    made[0] += 60
                    time.sleep(max(0, began + made[0] / rate - time.monotonic()))
            except Exception as error:  # noqa: BLE001
                failed.append(error)
            finally:
                source.close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield made
        finally:
            stop.set()
            thread.join()
            assert not failed, failed

    def close(self):
        try:
            self.stack.connector("delete", "--offsets", f"name={self.prefix}")
            self.sink.close()
        finally:
            for table in (*TABLES, "words", "nokey"):
                self.source.execute(f"drop table if exists {table}")
            self.source.close()
            self.database.close()
            drop_database(self.stack, self.database.name)


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory):
    world = World(stack, tmp_path_factory.mktemp("verify"))
    world.begin()
    yield world
    world.close()


def found(report):
    """(table, kind, key, columns that differ), of all differences."""
    return sorted(
        (table["table"].split(".")[1], difference["kind"],
         *(difference["key"].values()), *sorted(c["column"] for c in difference["columns"]))
        for table in report["tables"] for difference in table["differences"])


def test_equal(world):
    code, report = world.verify(expect=EQUAL)
    tables = {table["table"].split(".")[1]: table for table in report["tables"]}
    assert set(tables) == {*TABLES, "words", "nokey"}
    assert {name: table["method"] for name, table in tables.items()} == {
        "customers": "ranges of the key", "every_type": "ranges of the key",
        "pairs": "keys of each side", "words": "keys of each side", "nokey": "a multiset of rows"}
    assert tables["every_type"]["source_rows"] == tables["every_type"]["target_rows"] > 50
