"""verify of a PostgreSQL source: every type that its connector sends, after a random workload."""

import json
import os
import subprocess

from pg_workload import TABLES, Workload, quote
from test_postgres_source import world  # noqa: F401

EQUAL, DIFFERS = 0, 1
SNAPSHOT_ROWS = 40  # of each table: each row is made wrong in one column


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


def test_every_type(world, report):  # noqa: F811
    world.made = True
    workload = Workload(world.source, int(os.environ.get("ODS_TEST_SEED", 5)), {}, False)
    for table in TABLES:
        for _ in range(SNAPSHOT_ROWS):
            workload.insert(table)
    world.database.execute("create extension hstore; create extension citext; "
                           "create extension ltree;")
    # Where other databases of the server write, the connector's slot follows by its own changes alone.
    world.source.execute("drop table if exists beat; create table beat (id int primary key, at "
                         "timestamptz); grant all on beat to debezium")
    world.capture("heartbeat.interval.ms=300", "heartbeat.action.query=insert into beat values "
                  "(1, now()) on conflict (id) do update set at = now()")
    world.follow({}, on_delete="soft", create_tables=True)
    configure(world)
    world.await_equal(workload)
    workload.streaming = True
    for _ in range(60):
        workload.step()
    world.await_equal(workload)
    code, told, page = verify(world)
    assert (code, told) == (EQUAL, set()), json.dumps(page, indent=1)[:6000]
    planted = plant(world)
    code, told, page = verify(world)
    assert code == DIFFERS and told == planted, (
        told - planted, planted - told, [table["why"] for table in page["tables"]])
    report(f"seconds by table: {[round(table['seconds'], 1) for table in page['tables']]}")
    world.source.execute("drop table beat")
    assert not sum(table["unsettled"] for table in page["tables"])


def plant(world):  # noqa: F811
    """Each column of some row is NULL instead of what it was; and rows are gone or invented."""
    database, planted = world.database, set()
    for table in TABLES[:3]:
        columns = [column.name for column in table.columns]
        for column in columns:
            key = database.execute(
                f"select id from {table.name} where {quote(column)} is not null and "
                "cdc_operation <> 'd' and id not in (select id from touched) limit 1"
                if database.exists("touched") else "select 1 where false")
            if not database.exists("touched"):
                database.execute("create table touched (id bigint)")
                key = database.execute(f"select id from {table.name} where {quote(column)} is not "
                                       "null and cdc_operation <> 'd' limit 1")
            if not key:
                continue
            database.execute(f"update {table.name} set {quote(column)} = null where id = %s", key[0][0])
            database.execute("insert into touched values (%s)", key[0][0])
            planted.add((table.name, "changed", column))
        database.execute("truncate touched")
    database.execute("delete from only_key where id = (select min(id) from only_key "
                     "where cdc_operation <> 'd')")
    database.execute("insert into only_key values (-1)")
    database.execute("insert into pairs values (-1, 'x', 1)")
    database.execute("insert into logged values (1, 'invented')")
    return planted | {("only_key", "missing"), ("only_key", "extra"), ("pairs", "extra"),
                      ("logged", "extra")}
