"""A paused table that a killed resync has left held is paused again afterwards."""

import os
import signal
import subprocess

import pytest
from lib.waiting import wait_for
from test_resync import Shop


@pytest.fixture
def shop(sink, kafka, database, prefix):
    return Shop(sink, kafka, database, prefix)


def kill_while_held(shop):
    blocker = shop.database.connect()
    blocker.autocommit = False
    blocker.cursor().execute("select count(*) from items")  # the exchange waits for this reader
    process = subprocess.Popen([shop.sink.binary, "resync", "-c", shop.sink.conf, "items", "--reason",
                                "by hand"], env=shop.sink.stack.environment())
    waiting = "wait_event_type = 'Lock' and query like '%%shadow_exchange%%'"
    wait_for(lambda: shop.database.execute(f"select 1 from pg_stat_activity where {waiting}"),
             what="the exchange waits")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    shop.database.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {waiting}")
    blocker.close()
    assert orders(shop) == {("resync", "by hand; it was paused before")}


def orders(shop):
    return set(shop.database.execute("select state, reason from ods_sink.table_control"))


def test_paused_it_stays_so(shop):
    daemon = shop.sink.daemon().await_ready()
    shop.churn(100)
    daemon.await_that(shop.is_right)
    shop.sink.run("pause", "-c", shop.sink.conf, "items", "--reason", "a test")
    kill_while_held(shop)
    assert shop.resync()["state"] == "paused"
    assert {state for state, _ in orders(shop)} == {"paused"}
    kill_while_held(shop)
    shop.sink.run("resync", "-c", shop.sink.conf, "items", "--cancel")
    assert {state for state, _ in orders(shop)} == {"paused"}
    shop.churn(20)
    shop.sink.run("resume", "-c", shop.sink.conf, "items")
    daemon.await_that(shop.is_right)
    daemon.stop()
