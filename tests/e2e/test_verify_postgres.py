"""verify of a PostgreSQL source: every type that its connector sends, after a random workload."""

import json
import os
import subprocess

from pg_workload import TABLES, Workload
from test_postgres_source import SNAPSHOT_ROWS, world  # noqa: F401

EQUAL, DIFFERS = 0, 1


def configure(world, **table):
    """As World.follow() has it, with the source named."""
    stack = world.stack
    world.sink.write(
        {"name": "finance", "topics": [f"^{world.prefix}(\\..*)?$"], "format": "debezium",
         "target": "ods", "source": {"connector": "postgresql"},
         "defaults": {"on_truncate": "apply", "on_delete": "soft", **table}},
        database=world.database, kafka=True, dead_letter={"topic": f"letters-{world.prefix}"},
        databases=[{"name": "shop", "type": "postgres", "slot": world.slot,
                    "dsn": f"host=127.0.0.1 port={stack['POSTGRES_SOURCE_PORT']} "
                           f"dbname={stack['POSTGRES_SOURCE_DATABASE']} "
                           f"user={stack['POSTGRES_SOURCE_USER']} "
                           "password=${ODS_STACK_POSTGRES_SOURCE_PASSWORD}"}])


def verify(world, *arguments):
    done = subprocess.run(
        [world.sink.binary, "verify", "-c", world.sink.conf, "--json", *map(str, arguments)],
        text=True, capture_output=True, timeout=200,
        env={**world.stack.environment(), "XDG_STATE_HOME": str(world.sink.folder)})
    assert "Sanitizer" not in done.stderr, done.stderr
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    told = {(table["table"].split(".")[1], difference["kind"],
             *(column["column"] for column in difference["columns"]))
            for table in report["tables"] for difference in table["differences"]}
    return done.returncode, told, report


def test_every_type(world):  # noqa: F811
    world.made = True
    workload = Workload(world.source, int(os.environ.get("ODS_TEST_SEED", 5)), {}, False)
    for table in TABLES:
        for _ in range(SNAPSHOT_ROWS):
            workload.insert(table)
    world.database.execute("create extension hstore; create extension citext; "
                           "create extension ltree;")
    world.capture()
    world.follow({}, on_delete="soft", create_tables=True)
    configure(world)
    world.await_equal(workload)
    workload.streaming = True
    for _ in range(60):
        workload.step()
    world.await_equal(workload)
    code, told, report = verify(world)
    assert (code, told) == (EQUAL, set()), json.dumps(report, indent=1)[:6000]
