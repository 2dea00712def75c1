"""A table made anew from its topic and exchanged, while its group goes on."""

import json
import os
import random
import signal
import subprocess
import threading
import time

import pytest

from lib.postgres import administer
from lib.records import Table, pipeline, row
from lib.sink import Exit
from lib.waiting import wait_for


class Shop:
    def __init__(self, sink, kafka, database, prefix, **settings):
        self.sink, self.kafka, self.database = sink, kafka, database
        self.items, self.orders = Table("items", prefix=prefix), Table("orders", prefix=prefix)
        for table in (self.items, self.orders):
            kafka.create(table.topic, 3)
        sink.write(pipeline(f"^{prefix}\\.shop\\..*", name="shop", group_id=f"{prefix}-group"),
                   database=database, kafka=True, lanes=2, **settings)
        self.rows = {}  # what items must show
        self.random = random.Random(7)

    def churn(self, count, keys=300):
        """Changes of items: new ones, updates, deletes."""
        records = []
        for _ in range(count):
            key = self.random.randrange(keys)
            place = {"partition": key % 3}
            new = row(key, self.random.randrange(10**6))
            if key not in self.rows:
                records.append(self.items.create(new, **place))
            elif self.random.random() < 0.2:
                records.append(self.items.delete(self.rows.pop(key), **place))
                continue
            else:
                records.append(self.items.update(self.rows[key], new, **place))
            self.rows[key] = new
        self.kafka.produce(records)

    def shown(self):
        return {id: {"id": id, "name": name, "amount": amount} for id, name, amount in
                self.database.execute("select id, name, amount from items "
                                      "where cdc_operation is distinct from 'd'")}

    def is_right(self):
        return self.database.exists("items") and self.shown() == self.rows

    def resync(self, *arguments, expect=Exit.OK, table="items"):
        done = self.sink.run("resync", "-c", self.sink.conf, table, *arguments, "--json",
                             expect=expect)
        return json.loads(done.stdout) if done.stdout else done.stderr

    def leavings(self):
        """What may be left of a resync."""
        return self.database.execute(
            "select 1 from ods_sink.shadows union all "
            "select 1 from ods_sink.offsets where consumer_group like '%%.resync.%%' union all "
            "select 1 from pg_class where relname like '%%\\_\\_resync\\_%%' union all "
            "select 1 from ods_sink.table_sources where table_name like '%%\\_\\_resync\\_%%' "
            "union all select 1 from ods_sink.table_control where state <> 'running'")


@pytest.fixture
def shop(sink, kafka, database, prefix):
    return Shop(sink, kafka, database, prefix)


def test_a_table_is_made_anew(shop):
    """What somebody did to it by hand is gone; what it was made of is as it was."""
    database = shop.database
    daemon = shop.sink.daemon().await_ready()
    shop.churn(400)
    daemon.await_that(shop.is_right, what="rows")
    administer(database.stack, "create role reader_of_items")
    try:
        for sql in ("create index items_by_name on items (name)",
                    "create index items_by_amount on items (amount) where amount > 5",
                    "alter table items add column note text default 'none'",
                    "alter table items add column number serial",
                    "alter table items add constraint small check (amount >= 0)",
                    "alter table items set (fillfactor = 70)",
                    "grant select on items to reader_of_items",
                    "grant update (name) on items to reader_of_items",
                    "update items set name = 'by hand', note = 'by hand' where id % 7 = 0",
                    "delete from items where id % 5 = 0",
                    "insert into items (id, name) values (-1, 'by hand')"):
            database.execute(sql)
        looks = described(database)
        assert not shop.is_right()
        told = shop.resync("--reason", "changed by hand")
        assert told["begun"] and told["records"] == 400 and told["state"] == "running"
        assert shop.is_right() and not shop.leavings()
        assert described(database) == looks
        shop.churn(50)
        daemon.await_that(shop.is_right, what="what came later")
        assert database.value("select count(*) from items where note = 'by hand'") == 0
        assert database.value("select reason from ods_sink.control_history order by id desc "
                              "limit 1") == "changed by hand"
    finally:
        administer(database.stack, "drop owned by reader_of_items", database.name)
        administer(database.stack, "drop role reader_of_items")
    daemon.stop()


def described(database):
    """Of a table what an exchange could lose."""
    return [database.execute(sql) for sql in (
        "select indexdef from pg_indexes where tablename = 'items' order by 1",
        "select conname, pg_get_constraintdef(oid) from pg_constraint "
        "where conrelid = 'items'::regclass order by 1",
        "select attname, format_type(atttypid, atttypmod), attnotnull, attacl::text, "
        "col_description(attrelid, attnum) from pg_attribute "
        "where attrelid = 'items'::regclass and attnum > 0 order by attnum",
        "select column_default from information_schema.columns where table_name = 'items' "
        "order by 1",
        "select relowner, relacl::text, reloptions, obj_description(oid) from pg_class "
        "where oid = 'items'::regclass",
        "select pg_get_serial_sequence('items', 'number')")]


def test_killed_three_times_under_load_it_converges(shop):
    """By whatever ends it, while changes stream and readers read."""
    daemon = shop.sink.daemon().await_ready()
    shop.churn(6000, keys=2000)
    daemon.await_that(shop.is_right)
    shop.database.execute("delete from items where id % 3 = 0")
    shop.database.execute("update items set amount = -1 where id % 4 = 0")
    least = shop.database.count("items")
    # Slow enough to be caught in the middle: a batch is small, and each waits for its commit.
    conf = shop.sink.conf.with_name("slow.conf")
    conf.write_text(shop.sink.conf.read_text() + "batch = { max_events = 20; };\n")
    conf_text = conf.read_text()
    assert conf_text.count("batch") == 1
    ending, troubles = threading.Event(), []

    def stream():
        while not ending.is_set():
            shop.churn(40, keys=2000)
            time.sleep(0.05)

    def read():
        connection = shop.database.connect()
        with connection.cursor() as cursor:
            while not ending.is_set():
                cursor.execute("select count(*) from items")
                if cursor.fetchone()[0] < least - 500:
                    troubles.append("readers saw a table that was not whole")
        connection.close()

    threads = [threading.Thread(target=stream), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    try:
        stored = ("select coalesce(sum(next_offset), 0) from ods_sink.offsets "
                  "where consumer_group like '%%.resync.%%'")
        reached = 0
        for number in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
            process = subprocess.Popen(
                [shop.sink.binary, "resync", "-c", conf, "items", "--json"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env=shop.sink.stack.environment())
            wait_for(lambda: shop.database.value(stored) > reached or process.poll() is not None,
                     60, "the resync gets on")
            assert process.poll() is None, process.communicate()
            process.send_signal(number)
            said = process.communicate(timeout=60)
            if number == signal.SIGINT:
                assert process.returncode == 130 and "nothing was exchanged" in said[1], said
            reached = shop.database.value(stored)
        assert reached, "it goes on where it was"
        told = shop.resync()
        assert not told["begun"] and told["records"] < shop.items._offsets[0] * 3
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert not troubles
    daemon.await_that(shop.is_right, what="rows are equal")
    assert not shop.leavings()
    daemon.stop()


def test_killed_while_the_table_is_held(shop):
    """It stays held, and a second one, or resume, lets it go on."""
    daemon = shop.sink.daemon().await_ready()
    shop.churn(100)
    daemon.await_that(shop.is_right)
    blocker = shop.database.connect()
    blocker.autocommit = False
    blocker.cursor().execute("select count(*) from items")  # the exchange waits for this reader
    process = subprocess.Popen([shop.sink.binary, "resync", "-c", shop.sink.conf, "items"],
                               env=shop.sink.stack.environment())
    wait_for(lambda: shop.database.execute(
        "select 1 from pg_stat_activity where wait_event_type = 'Lock' "
        "and query like '%%shadow_exchange%%'"), what="the exchange waits")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    blocker.close()
    shop.churn(50)
    daemon.await_that(lambda: json.loads(daemon.get("/status")[1])["paused"])
    wait_for(lambda: not shop.database.execute(
        "select 1 from pg_stat_activity where query like '%%shadow_exchange%%' "
        "and pid <> pg_backend_pid()"), what="its session has ended")
    if shop.database.execute("select 1 from ods_sink.shadows"):
        shop.resync()
    daemon.await_that(shop.is_right)
    assert not shop.leavings()
    daemon.stop()


def test_what_hangs_on_a_table_is_named(shop):
    """And left alone when only the rows are exchanged."""
    database = shop.database
    daemon = shop.sink.daemon().await_ready()
    shop.churn(300)
    daemon.await_that(shop.is_right)
    database.execute("create view cheap as select * from items where amount < 10")
    database.execute("create table notes (item int references items)")
    database.execute("update items set name = 'by hand' where id % 7 = 0")
    database.execute("delete from items where id % 5 = 0")
    database.execute("insert into items (id, name) values (-1, 'by hand')")
    relation = database.value("select 'items'::regclass::oid")
    said = shop.resync(expect=Exit.NEGATIVE)
    assert "cheap" in said and "notes" in said and "--in-place" in said
    assert not shop.leavings()
    shop.resync("--in-place")
    assert shop.is_right() and not shop.leavings()
    assert database.value("select 'items'::regclass::oid") == relation
    database.execute("select * from cheap")
    # A topic that has lost its beginning, and a table that was never moved.
    shop.kafka.delete_records(shop.items.topic, 0, 1)
    assert "is gone from Kafka" in shop.resync("--in-place", expect=Exit.NEGATIVE)
    assert "has not been moved" in shop.resync(table="orders", expect=Exit.NEGATIVE)
    assert shop.resync("--cancel")["forgotten"] is False
    daemon.stop()
