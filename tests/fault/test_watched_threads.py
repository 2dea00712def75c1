"""The threads that look at sources, orders and retention, under ThreadSanitizer: comparisons of a MySQL
and a PostgreSQL source all the while, looks at both logs, tables that are paused and go on, sessions
that the server ends, every page asked for, an orderly end in the middle."""

import pymysql
from conftest import ROOT, build
from lib.postgres import create_database, drop_database
from lib.records import Table, pipeline
from lib.sink import Setup
from test_threads import Troubled

ROWS = 200


def source_of(kind, stack, other):
    dsn = {"mysql": f"host={stack['MYSQL_SOCKET']} user=root dbname=watched_threads",
           "postgres": other.dsn}[kind]
    return {"name": kind, "type": kind, "dsn": dsn, "check_every": "100ms"}


def test_no_race(database, kafka, prefix, stack, tmp_path):
    program = build("tsan")
    assert program.exists(), f"{program} is not built: scripts/test"
    stack.up("mysql")
    wrapper = tmp_path / "ods-sink-tsan"
    wrapper.write_text(f'#!/bin/sh\nexec setarch -R "{program}" "$@"\n')
    wrapper.chmod(0o755)
    other = create_database(stack, "ods_watched_threads")
    root = pymysql.connect(unix_socket=stack["MYSQL_SOCKET"], user="root", autocommit=True)
    tables = {"mysql": Table(name="mys", database="watched_threads", prefix=prefix + "my"),
              "postgres": Table(name="pgs", database="public", prefix=prefix + "pg")}
    sink = Setup(tmp_path / "sink", wrapper, stack)
    env = {"TSAN_OPTIONS": f"suppressions={ROOT / 'tests' / 'support' / 'tsan.supp'} history_size=4"}
    try:
        with root.cursor() as cursor:
            cursor.execute("create database watched_threads")
            cursor.execute("create table watched_threads.mys (id int primary key, name text, amount int)")
            cursor.executemany("insert into watched_threads.mys values (%s, %s, %s)",
                               [(number, f"n{number}", number) for number in range(ROWS)])
        other.execute("create table pgs (id int primary key, name text, amount int)")
        other.execute(f"insert into pgs select n, 'n' || n, n from generate_series(0, {ROWS - 1}) n")
        for table in tables.values():
            kafka.create(table.topic, 2)
        sink.write(*({**pipeline(tables[kind], name=kind), "database": kind, "verify": {"every": "1s"}}
                     for kind in tables), database=database, kafka=True, lanes=2,
                   databases=[source_of(kind, stack, other) for kind in tables])
        sink.conf.write_text(sink.conf.read_text().replace(
            "kafka = {", "kafka = { retention_check_ms = 100;", 1))
        daemon = sink.daemon(env=env)
        for table in tables.values():
            kafka.produce([table.create({"id": number, "name": f"n{number}", "amount": number},
                                        partition=number % 2) for number in range(ROWS)])
        daemon.await_that(lambda: daemon.log().count("1 tables are equal") >= 2, 120, "comparisons")
        with Troubled(daemon, database) as troubled:
            for turn in range(2):
                sink.run("pause", "mys", "--reason", "a test", "-c", sink.conf, env=env, expect=None)
                kafka.produce([tables["mysql"].create({"id": turn, "name": "again", "amount": 1})])
                sink.run("resume", "mys", "-c", sink.conf, env=env, expect=None)
            seen = daemon.log().count("verify: ")
            daemon.await_that(lambda: daemon.log().count("verify: ") > seen + 4, 120, "more of them")
        assert troubled.pages and troubled.ended
        daemon.stop(timeout_s=40)
    finally:
        sink.close()
        with root.cursor() as cursor:
            cursor.execute("drop database if exists watched_threads")
        root.close()
        other.close()
        drop_database(stack, other.name)
