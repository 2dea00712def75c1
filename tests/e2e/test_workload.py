"""The whole way: MySQL, Debezium, Kafka, ods-sink, PostgreSQL. A snapshot of rows that are there,
then a random workload, then every row of the source against every row of the ODS."""

import os
import random
import time

import pytest
from conftest import ROOT
from lib.size import size
from lib.text import assert_same_rows, differences
from workload import EVERY_TYPE, PAIRS, TABLES, Workload

SNAPSHOT_ROWS = size("SNAPSHOT_ROWS", 60, 300)  # of each table
STEPS = size("STEPS", 300, 2500)


class World:
    """The source's tables, a connector that reads them into topics of this test alone, a daemon
    that follows, and a database of this test alone."""

    def __init__(self, stack, source, sink, database, prefix):
        self.stack, self.source, self.sink = stack, source, sink
        self.database, self.prefix = database, prefix
        self.daemon = None

    def capture(self, file):
        self.stack.connector(
            "register", ROOT / "config" / "connectors" / file, f"name={self.prefix}",
            f"topic.prefix={self.prefix}", f"database.server.id={random.randrange(6000, 2**31)}",
            f"schema.history.internal.kafka.topic=history-{self.prefix}")

    def follow(self, **defaults):
        self.sink.write(
            {"name": "finance", "topics": [f"^{self.prefix}(\\..*)?$"], "format": "debezium",
             "target": "ods", "source": {"connector": "mysql"}, "defaults": defaults},
            database=self.database, kafka=True, dead_letter={"topic": f"letters-{self.prefix}"})
        self.daemon = self.sink.daemon()

    def differences(self, where):
        """What differs now, in lines for a person."""
        lines = []
        for table in TABLES:
            if not self.database.exists(table):
                return [f"no table {table}"]
            columns, wanted = self.source.rows(table)
            found = self.database.rows(table, columns, where)
            lines += [f"{table}: {line}" for line in differences(wanted, found)]
        return lines

    def await_equal(self, where, timeout_s=90):
        """The source stands still, so the ODS must become equal to it, and stay so."""
        self.daemon.await_that(lambda: not self.differences(where), timeout_s,
                               lambda: "\n".join(self.differences(where)[:20]))

    def await_all_sent(self):
        """A row written last has arrived, so what a connector sent before it has as well, within
        each partition; with the rows equal nothing else can be on its way."""
        marker = f"marker {time.time_ns()}"
        self.source.execute("replace into pairs values " + ", ".join(
            f"({-number - 1}, '{marker[:20]}', 1)" for number in range(64)))
        self.daemon.await_that(
            lambda: self.database.count("pairs", f"b = '{marker[:20]}'") == 64, 90, "the markers")


@pytest.fixture
def world(stack, connect, kafka, source, sink, database, prefix):
    for table in TABLES:  # another test may have changed them
        source.execute(f"drop table if exists {table}")
    source.script((ROOT / "sql" / "mks_finance" / "source.sql").read_text())
    source.execute(EVERY_TYPE)
    source.execute(PAIRS)
    yield World(stack, source, sink, database, prefix)
    stack.connector("delete", "--offsets", f"name={prefix}")


@pytest.mark.parametrize("file, on_delete", [("mks_finance-flat.json", "hard"),
                                             ("mks_finance.json", "soft")])
def test_random_workload(world, report, file, on_delete):
    seed = int(os.environ.get("ODS_TEST_SEED", random.randrange(10**9)))
    report(f"ODS_TEST_SEED={seed}")
    where = "cdc_operation <> 'd'" if on_delete == "soft" else "true"
    workload = Workload(world.source, seed)
    for table in TABLES:
        world.source.execute("begin")
        workload.insert(table, SNAPSHOT_ROWS)
        world.source.execute("commit")
    world.capture(file)
    world.follow(on_delete=on_delete)
    world.await_equal(where)
    assert world.database.count("customers", "cdc_operation = 'r'") == SNAPSHOT_ROWS

    began = time.monotonic()
    for _ in range(STEPS):
        workload.step()
    took = time.monotonic() - began
    world.await_all_sent()
    world.await_equal(where)
    rows = sum(world.source.execute(f"select count(*) from {table}")[0][0] for table in TABLES)
    report(f"{STEPS} statements and transactions in {took:.1f} s, {rows} rows equal")
    letters = world.daemon.metric("ods_sink_records_rejected_total")
    assert letters == 0, world.daemon.tail()
    assert world.database.count("customers", "cdc_operation in ('c', 'u')") > 0
    world.daemon.stop()


def test_tables_of_an_administrator(world):
    """The tables of sql/mks_finance/ods.sql, in which the sink has nothing to create or to add."""
    world.database.execute((ROOT / "sql" / "mks_finance" / "ods.sql").read_text())
    before = world.database.columns("customers")
    world.source.execute("insert into customers (customer_id, full_name, monthly_income, created_at, "
                         "updated_at) values (1, 'Budi 😀', 12345678901.55, '2025-12-19 08:02:27', "
                         "'2025-12-19 08:02:27.123')")
    world.capture("mks_finance.json")
    world.follow(create_tables=False, on_delete="soft")
    world.daemon.await_that(lambda: world.database.count("customers") == 1, 60, "the row")
    columns, wanted = world.source.rows("customers")
    assert_same_rows(wanted, world.database.rows("customers", columns), "customers")
    assert world.database.columns("customers") == before
    world.daemon.stop()
