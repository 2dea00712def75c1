"""A LOAD DATA that the server lets wait: the lane is shown to be alive, and an end is an end."""

import os
import re
import subprocess

import pytest
from conftest import build

from lib.mysql_target import Database, server  # noqa: F401 (a fixture)
from lib.records import Table, pipeline, row
from lib.sink import assert_clean
from lib.waiting import wait_for

BARE = {"cdc_operation": "off", "cdc_timestamp": "off", "on_delete": "hard"}
ROWS = 300  # so many new ones are loaded


@pytest.fixture
def target(server):
    target = Database(server, "ods_load")
    target.execute("create table items (id int primary key, name varchar(20), amount int)")
    yield target
    target.close()


@pytest.fixture
def hold(request, server, target):
    """Begins a session that has written the key of a row in the middle, and waits."""
    def hold():
        holder = server.connect("ods_load")
        request.addfinalizer(holder.close)
        holder.begin()
        holder.cursor().execute(f"insert into items values ({ROWS // 2}, 'held', 0)")
        return holder
    return hold


def loads_for(target):
    """How many seconds a LOAD DATA has taken by now, -1: there is none."""
    found = target.execute("select time from information_schema.processlist "
                           "where info like 'load data%'")
    return found[0][0] if found else -1


class Calls:
    """All rows as one batch, by the program that makes a sink's calls."""

    def __init__(self, sink, target):
        self.target, items = target, Table()
        sink.write({**pipeline(items), "defaults": BARE}, targets=[target.target()])
        records = sink.file_of([items.create(row(number)) for number in range(ROWS)])
        program = build("asan").parent / "tests" / "integration" / "sink_calls"
        self.command = [program, "together", sink.conf, records]

    def signs(self, meanwhile=None):
        calls = subprocess.Popen(self.command, text=True, env=os.environ,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            if meanwhile:
                meanwhile()
            said, errors = calls.communicate(timeout=60)
        finally:
            calls.kill()
        assert_clean(errors)
        assert calls.returncode == 0, said + errors
        assert self.target.count("items") == ROWS
        self.target.execute("delete from items")
        self.target.execute("delete from ods_sink_offsets")
        return int(re.search(rf"^ok upserted={ROWS} alive=(\d+)", said).group(1))


def test_a_load_that_waits_gives_signs_of_life(sink, target, hold):
    calls = Calls(sink, target)
    calls.signs()  # makes the sink's own tables
    quiet = calls.signs()
    holder = hold()

    def wait():
        wait_for(lambda: loads_for(target) >= 4, 60, what="a LOAD DATA that waits")
        holder.rollback()

    assert calls.signs(wait) >= quiet + 3


def test_a_daemon_ends_in_the_middle_of_a_load(sink, target, hold, kafka, prefix):
    items = Table(prefix=prefix)
    kafka.create(items.topic, 1)
    kafka.produce([items.create(row(number)) for number in range(ROWS)])
    sink.write({**pipeline(items), "defaults": BARE}, kafka=kafka, targets=[target.target()],
               shutdown_timeout_ms=1000)
    holder = hold()
    daemon = sink.daemon()
    daemon.await_that(lambda: loads_for(target) >= 0, what="a LOAD DATA that waits")
    daemon.stop(expect=None)
    holder.rollback()
    assert target.count("items", f"id >= {ROWS // 2}") == 0  # what came before may be another batch's
    again = sink.daemon()
    again.await_that(lambda: target.count("items") == ROWS)
    again.stop()
