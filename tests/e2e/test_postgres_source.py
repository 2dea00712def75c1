"""The whole way from PostgreSQL: pgoutput, Debezium, Kafka, ods-sink, PostgreSQL. A snapshot, then a
random workload over every type that the connector sends, values left in TOAST, every replica
identity, keyless tables, truncates and a column that is added, in the three shapes of record."""

import os
import random
import time

import pytest
from conftest import ROOT
from lib.postgres import Database, administer
from lib.size import size
from lib.text import differences
from lib.waiting import wait_for
from pg_workload import TABLES, Column, Workload, quote, source_script, target_script

SNAPSHOT_ROWS = size("SNAPSHOT_ROWS", 20, 40)  # of each table
STEPS = size("STEPS", 120, 500)
CONNECTOR = ROOT / "config" / "connectors" / "pg_finance.json"
FLAT = ["transforms=unwrap",
        "transforms.unwrap.type=io.debezium.transforms.ExtractNewRecordState",
        "transforms.unwrap.delete.tombstone.handling.mode=rewrite",
        "transforms.unwrap.add.fields=op,source.ts_ms,source.table",
        "transforms.unwrap.replace.null.with.default=false"]
LEAN = ["key.converter.schemas.enable=false", "value.converter.schemas.enable=false",
        "decimal.handling.mode=string"]
# Records without a key, and truncates, go to any partition: where their order matters there is one.
ORDERED = ["topic.creation.groups=ordered",
           r"topic.creation.ordered.include=.*\.(keyless|pairs)",
           "topic.creation.ordered.partitions=1",
           "topic.creation.ordered.replication.factor=1"]


def by_key(wanted, found, keys):
    """What differs: of a row that is on both sides the columns that do, by its first columns."""
    if not keys:
        return differences(wanted, found)
    others = {str(row[:keys]): row for row in found}
    pairs = [(row, others[str(row[:keys])]) for row in wanted if str(row[:keys]) in others]
    lines = [f"{row[:keys]} {name}: {value!r} expected, {other!r} found" for row, there in pairs
             for (name, value), (_, other) in zip(row, there) if value != other]
    left = {str(row[:keys]) for row in wanted} ^ set(others)
    return lines + [f"on one side alone: {sorted(left)}"] * bool(left)


class World:
    """The source's tables, a connector that reads them into topics of this test alone, a daemon
    that follows, and a database of this test alone."""

    def __init__(self, stack, source, sink, database, prefix):
        self.stack, self.source, self.sink = stack, source, sink
        self.database, self.prefix = database, prefix
        self.slot = prefix.replace("-", "_")
        self.daemon = None
        self.made = False  # the tables are ods-sink's
        self.where = "true"

    def capture(self, *settings):
        self.stack.connector("register", CONNECTOR, f"name={self.prefix}",
                             f"topic.prefix={self.prefix}", f"slot.name={self.slot}",
                             "heartbeat.interval.ms=0", *ORDERED, *settings)

    def follow(self, source, **defaults):
        self.where = "cdc_operation <> 'd'" if defaults["on_delete"] == "soft" else "true"
        self.sink.write(
            {"name": "finance", "topics": [f"^{self.prefix}(\\..*)?$"], "format": "debezium",
             "target": "ods", "source": {"connector": "postgresql", **source},
             "defaults": {"on_truncate": "apply", **defaults}},
            database=self.database, kafka=True, dead_letter={"topic": f"letters-{self.prefix}"})
        self.daemon = self.sink.daemon()

    def rows(self, database, table, columns, where, made):
        """Each row's texts, as PostgreSQL writes them."""
        keys = [name.split()[0] for name in table.key.split(", ") if name]
        texts = [f"{name}::text" for name in keys]
        for column in columns:
            text = column.made if made else "{}"
            texts.append("({})::text".format(column.compared.format(text.format(quote(column.name)))))
        names = keys + [column.name for column in columns]
        found = database.execute(f"select {', '.join(texts) or '1'} from {table.name} where {where}")
        return [[[name, value] for name, value in zip(names, row)] for row in found]

    def differences(self, workload):
        """What differs now, in lines for a person."""
        lines = []
        for table in TABLES:
            if not self.database.exists(table.name):
                return [f"no table {table.name}"]
            columns = workload.columns[table.name]
            missing = {column.name for column in columns} - set(self.database.columns(table.name))
            if missing:
                return [f"{table.name} lacks {missing}"]
            wanted = self.rows(self.source, table, columns, "true", self.made)
            found = self.rows(self.database, table, columns, self.where, False)
            keys = len(table.primary.split(", ")) if table.primary else 0
            lines += [f"{table.name}: {line}"[:1500] for line in by_key(wanted, found, keys)]
        return lines

    def await_equal(self, workload, timeout_s=180):
        """The source stands still, so the ODS must become equal to it, and stay so."""
        self.daemon.await_that(lambda: not self.differences(workload), timeout_s,
                               lambda: "\n".join(self.differences(workload)[:40]))


@pytest.fixture
def world(stack, postgres_source, sink, database, prefix):
    source = Database(stack, stack["POSTGRES_SOURCE_DATABASE"], "POSTGRES_SOURCE")
    source.execute("set client_min_messages = warning")
    source.execute(source_script())
    world = World(stack, source, sink, database, prefix)
    yield world
    stack.connector("delete", "--offsets", f"name={prefix}")
    slots = f"from pg_replication_slots where slot_name = '{world.slot}'"
    wait_for(lambda: source.value(f"select count(*) {slots} and active") == 0, 60, "the slot is free")
    administer(stack, f"select pg_drop_replication_slot(slot_name) {slots}")
    source.close()


RUNS = [  # the connector's settings, who made the tables, on_delete, what happens to which table
    pytest.param([], "ods-sink", "soft", {}, id="envelope"),
    pytest.param(LEAN, "an administrator", "soft", {}, id="lean"),
    # A flattened record has no before image, by which a row without key is found. With hard deletes
    # the row of an old key is gone where its delete came first, and what lay in TOAST with it.
    pytest.param(FLAT, "an administrator", "hard", {"keyless": "i", "toasted": "iud"},
                 id="flattened"),
]


@pytest.mark.parametrize("settings, maker, on_delete, changes", RUNS)
def test_random_workload(world, report, settings, maker, on_delete, changes):
    seed = int(os.environ.get("ODS_TEST_SEED", random.randrange(10**9)))
    report(f"ODS_TEST_SEED={seed}")
    world.made = maker == "ods-sink"
    workload = Workload(world.source, seed, changes, "decimal.handling.mode=string" in settings)
    for table in TABLES:
        for _ in range(SNAPSHOT_ROWS):
            workload.insert(table)
    script = "create extension hstore; create extension citext; create extension ltree;"
    world.database.execute(script if world.made else target_script())
    world.capture(*settings)
    source = {"decimals": "string"} if workload.decimal_texts else {}
    world.follow(source, on_delete=on_delete, create_tables=world.made)
    world.await_equal(workload)

    began = time.monotonic()
    workload.streaming = True
    for step in range(STEPS):
        if step == STEPS // 2:
            added = Column("added", "numeric(5,2)", ["1.25", "-0.01"])
            if not world.made:
                world.database.execute("alter table pairs add column added numeric(5,2)")
            workload.add_column(next(table for table in TABLES if table.name == "pairs"), added)
        workload.step()
    took = time.monotonic() - began
    world.await_equal(workload)

    # Flattening drops a truncate.
    if settings is not FLAT:
        world.source.execute("truncate pairs, keyless")
        world.await_equal(workload)
    for _ in range(STEPS // 10):
        workload.step()
    world.await_equal(workload)
    rows = sum(world.source.value(f"select count(*) from {table.name}") for table in TABLES)
    report(f"{STEPS} statements and transactions in {took:.1f} s, {rows} rows equal")
    assert world.daemon.metric("ods_sink_records_rejected_total") == 0, world.daemon.tail()
    assert world.daemon.metric("ods_sink_values_lost_total") == 0
    world.daemon.stop()
