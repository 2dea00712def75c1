"""verify --repair of a PostgreSQL source, whose connector is as it is shipped: it reads only, and takes
signals by Kafka. Keys of every kind, and resync --snapshot."""

import json
import random
import subprocess

import pytest
from lib.connect import Connect, follow_postgres
from lib.postgres import Database, administer
from lib.size import left_out
from lib.waiting import wait_for
from test_repair import found

KEYS = {
    "k_pair": ("a int, b text, v int, primary key (a, b)",
               [(1, "x"), (1, "O'Brien\\"), (2, 'say "no"; -- \\x'), (3, "$$%_\n")]),
    "k_text": ("k text primary key, v int", [("plain",), ("') or ('1'='1",), ("日本 😀 \\'",), ("Çelik",)]),
    "k_number": ("k numeric primary key, v int", [("1.5",), ("-7.2500",), ("99999.0001",), ("0",)]),
    "k_bytes": ("k bytea primary key, v int", [(b"a",), (b"\x00\xff'\\",), (b"\x27\x20\x6f",), (b"z",)]),
    "k_date": ("k date primary key, v int",
               [("2024-01-01",), ("1999-12-31",), ("2030-06-01",), ("2024-02-29",)]),
    "k_moment": ("k timestamptz primary key, v int",
                 [("2024-01-01 00:00:00.000001+02",), ("2024-07-01 12:00:00+00",),
                  ("2001-09-09 01:46:40.5+00",), ("2024-01-02 00:00:00+00",)]),
    "k_uuid": ("k uuid primary key, v int", [(f"{n}0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",) for n in range(4)]),
}


@pytest.fixture
def world(stack, postgres_source, sink, database, prefix):
    source = Database(stack, stack["POSTGRES_SOURCE_DATABASE"], "POSTGRES_SOURCE")
    for table, (columns, rows) in KEYS.items():
        source.execute(f"drop table if exists {table}; create table {table} ({columns})")
        for number, row in enumerate(rows):
            source.execute(f"insert into {table} values ({', '.join(['%s'] * len(row))}, %s)", *row, number)
    slot = follow_postgres(stack, source, prefix, "public.k_.*")
    sink.write({"name": "finance", "topics": [f"^{prefix}(\\..*)?$"], "format": "debezium", "target": "ods",
                "source": {"connector": "postgresql"}, "defaults": {"on_delete": "hard"}},
               database=database, kafka=True, connect={"url": stack["CONNECT_URL"]},
               dead_letter={"topic": f"letters-{prefix}"},
               databases=[{"name": "shop", "type": "postgres", "slot": slot, "dsn": source.dsn}])
    daemon = sink.daemon()
    daemon.await_that(lambda: all(database.exists(table) and database.count(table) == len(rows)
                                  for table, (_, rows) in KEYS.items()), 120, "the snapshot")
    yield source, database, sink
    daemon.stop()
    Connect(stack["CONNECT_URL"]).insist("DELETE", f"/connectors/{prefix}")
    for table in ("beat", *KEYS):
        source.execute(f"drop table {table}")
    source.close()


def test_keys_of_every_kind(world):
    source, database, sink = world

    def verify(*arguments, expect):
        done = sink.run("verify", "-c", sink.conf, "--json", *KEYS, *arguments, expect=expect,
                        env={"XDG_STATE_HOME": str(sink.folder / "state")})
        return json.loads(done.stdout)

    verify(expect=0)
    for table in KEYS:
        database.execute(f"update {table} set v = 100 where v = 1")
        database.execute(f"delete from {table} where v = 2")
    database.execute("insert into k_text (k, v) values ('it''s extra', 1)")
    told = verify("--repair", "--delete-extra", expect=0)
    assert [row[:2] for row in found(told, "repaired")] == sorted(
        (table, kind) for table in KEYS for kind in ("changed", "missing"))
    assert found(told, "deleted") == [("k_text", "extra", "it's extra")]
    verify(expect=0)
    database.execute("update k_text set v = v + 1 where v < 2; insert into k_text (k, v) values ('more', 1)")
    told = json.loads(sink.run("resync", "-c", sink.conf, "k_text", "--snapshot", "--json").stdout)
    assert told["rows"] == 4 and told["rows_before"] == 5
    verify(expect=0)


BREAKS = ("pg_cancel_backend", "pg_terminate_backend")
LEFT_OUT = left_out(random.randrange(10**9), BREAKS)


@pytest.mark.parametrize("breaks", [pytest.param(one, marks=pytest.mark.skipif(
    one in LEFT_OUT, reason="its like has its turn in this run")) for one in BREAKS])
def test_a_snapshot_that_the_connector_loses(world, stack, breaks):
    """Its query fails, as it may by itself where the signal's thread and the streaming one meet on their
    connection; or the connection is gone, which the task may not survive. It is asked once more."""
    source, database, sink = world

    def waiting():
        return administer(stack, "select pid, query_start from pg_stat_activity where usename = 'debezium' and "
                                   "wait_event_type = 'Lock' and query like '%k_text%' limit 1")

    database.execute("delete from k_text where v = 1")
    holder = source.connect()
    holder.autocommit = False
    holder.cursor().execute("lock table k_text in access exclusive mode")
    resync = subprocess.Popen([sink.binary, "resync", "-c", str(sink.conf), "k_text", "--snapshot", "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=stack.environment())
    try:
        query = wait_for(waiting, 60, "the connector's query")[0]
        administer(stack, f"select {breaks}({query[0]})")
        wait_for(lambda: query not in waiting(), 60, "the query's end")
    finally:
        holder.rollback()
        holder.close()
        told, why = resync.communicate(timeout=120)
    assert resync.returncode == 0, why
    assert json.loads(told)["rows"] == 4
    sink.run("verify", "-c", sink.conf, "k_text", env={"XDG_STATE_HOME": str(sink.folder / "state")})


def test_a_repair_of_several_signals_that_the_connector_loses(world, stack):
    """It may not read the table for a moment. All that it was asked for comes then, not the last part alone."""
    source, database, sink = world
    source.execute("insert into k_text select 'n' || n, n from generate_series(1, 600) n")
    wait_for(lambda: database.count("k_text") == 604, 60, "the rows")
    database.execute("delete from k_text where k like 'n%%'")
    administer(stack, "revoke pg_read_all_data from debezium")
    verify = subprocess.Popen([sink.binary, "verify", "-c", str(sink.conf), "k_text", "--repair", "--json",
                               "--limit", "1"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**stack.environment(), "XDG_STATE_HOME": str(sink.folder / "state")})
    try:
        lost = next((line for line in verify.stderr if "lost the snapshot of public.k_text" in line), None)
    finally:
        administer(stack, "grant pg_read_all_data to debezium")
    told, why = verify.communicate(timeout=120)
    assert lost and verify.returncode == 0, (lost, why)
    table, = json.loads(told)["tables"]
    assert (table["repaired"], table["verdict"], database.count("k_text")) == (600, "equal", 604)
