"""The whole way in Avro: MySQL, Debezium with Apicurio's converter, its registry, Kafka, ods-sink,
PostgreSQL. A random workload, then every row against every row; the registry stopped in its middle,
and the daemon killed."""

import json
import os
import random
import urllib.request

import pytest
from lib.size import FULL, size
from test_workload import SNAPSHOT_ROWS, World, world  # noqa: F401: a fixture
from workload import TABLES, Workload

STEPS = size("STEPS", 150, 2500)
RUNS = [("mks_finance-avro.json", "hard"), ("mks_finance-avro-flat.json", "soft")]


@pytest.fixture
def connect(stack):
    """Connect finds the converter if it was there as Connect started."""
    stack.up("registry")
    stack.up("postgres", "mysql", "kafka", "connect")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{stack['CONNECT_URL']}/connector-plugins?connectorsOnly=false") as answer:
        found = any("AvroConverter" in plugin["class"] for plugin in json.load(answer))
    if not found:
        stack.down("connect")
        stack.up("connect")
    return stack


class AvroWorld(World):
    def follow(self, **defaults):
        self.sink.write(
            {"name": "finance", "topics": [f"^{self.prefix}(\\..*)?$"], "format": "debezium-avro",
             "target": "ods", "source": {"connector": "mysql"}, "defaults": defaults},
            database=self.database, kafka=True, dead_letter={"topic": f"letters-{self.prefix}"},
            registry={"url": self.stack["REGISTRY_URL"], "timeout_ms": 2000})
        self.daemon = self.sink.daemon()


def drop_defaults(source):
    """Apicurio's converter writes a column's default where the row has NULL, which no sink can know:
    here nullable columns have none."""
    for table, column in source.execute(
            "select table_name, column_name from information_schema.columns where table_schema = "
            "database() and is_nullable = 'YES' and column_default is not null"):
        source.execute(f"alter table {table} alter column `{column}` drop default")


# Both in a long run: how a flattened record is read does not depend on what it is written in.
@pytest.mark.parametrize("file, on_delete", RUNS if FULL else RUNS[:1])
def test_random_workload_in_avro(stack, world, report, file, on_delete):  # noqa: F811
    world.__class__ = AvroWorld
    seed = int(os.environ.get("ODS_TEST_SEED", random.randrange(10**9)))
    report(f"ODS_TEST_SEED={seed}")
    where = "cdc_operation <> 'd'" if on_delete == "soft" else "true"
    drop_defaults(world.source)
    workload = Workload(world.source, seed)
    for table in TABLES:
        world.source.execute("begin")
        workload.insert(table, SNAPSHOT_ROWS)
        world.source.execute("commit")
    world.capture(file)
    world.follow(on_delete=on_delete)
    world.await_equal(where)
    assert world.database.count("customers", "cdc_operation = 'r'") == SNAPSHOT_ROWS
    for _ in range(STEPS // 2):
        workload.step()
    # What the daemon knows does not need the registry; what it does not know waits for it.
    world.await_all_sent()
    stack.down("registry")
    world.daemon.kill()
    world.source.execute("replace into pairs values (-999, 'while it is away', 1)")
    world.daemon = world.sink.daemon()
    world.daemon.await_that(lambda: "records with schemas that are not known yet wait"
                            in world.daemon.log(), 60, "the registry to be missed")
    stack.up("registry")
    for _ in range(STEPS // 2):
        workload.step()
    world.await_all_sent()
    world.await_equal(where)
    assert world.daemon.metric("ods_sink_records_rejected_total") == 0, world.daemon.tail()
    world.daemon.stop()
