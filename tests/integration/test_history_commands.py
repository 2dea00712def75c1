"""What the commands make of tables with histories: paused, made anew, replayed, reset; and partitions
that the daemon makes and drops while nothing comes."""

import json

import pytest
from lib.records import Table, pipeline, row
from lib.sink import Exit
from lib.waiting import wait_for


@pytest.fixture
def shop(sink, kafka, database, prefix):
    table = Table("items", prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.create(f"{prefix}.letters", 1)
    sink.write({**pipeline(table, name="shop", group_id=f"{prefix}-group"), "defaults": {
        "mode": "both", "history": {"partition_by": "day", "ahead": 1, "retain": "30 days",
                                    "view": True}}},
        database=database, kafka=True, dead_letter={"topic": f"{prefix}.letters"})
    return table


def run(sink, *arguments, expect=Exit.OK):
    done = sink.run(arguments[0], "-c", sink.conf, *arguments[1:], "--json", expect=expect)
    return json.loads(done.stdout) if done.stdout else done.stderr


def test_a_table_with_a_history_under_the_commands(sink, kafka, database, shop, prefix):
    now = int(database.value("select extract(epoch from now())")) * 1000
    shop._clock_ms = now - 100_000
    records = [shop.create(row(number), ts_ms=now - (300 - number) * 10_000_000) for number in range(300)]
    kafka.produce(records)
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: database.count("items_cdc") > 0, 60, "rows")
    database.execute("alter table items add constraint small check (amount < 100)")
    kafka.produce([shop.create(row(900, 500)), shop.create(row(901))])
    daemon.await_that(lambda: database.count("items_cdc", "id = 901") == 1, 60, "rows")
    assert database.count("items") == 301 == database.count("items_cdc")

    # Partitions are made and dropped without a change that asks for it.
    daemon.await_that(lambda: database.count("items_cdc_default") == 0, 60, "partitions")
    assert database.value("select count(*) from pg_inherits where inhparent = "
                          "'items_cdc'::regclass") >= 32
    kept = database.value("select count(*) from items_cdc")
    assert 258 <= kept <= 270 and database.value(
        "select min(cdc_timestamp) > now() - interval '32 days' from items_cdc")

    # A letter's record is put in its place.
    database.execute("alter table items drop constraint small")
    done = sink.run("dlq", "replay", "-c", sink.conf, "--topic", shop.topic)
    assert database.execute('select id, amount, "offset" from items_cdc where id = 900') == [
        (900, 500, 300)], done.stdout
    assert database.execute("select * from ods_sink.history_gaps") == []

    # The table is made anew beside its history, which stays as it is.
    before = database.execute('select "offset", id, ingested_at from items_cdc order by 1')
    database.execute("delete from items where id < 10")
    run(sink, "resync", "items")
    assert database.count("items") == 302 or database.count("items") == 301
    assert database.execute('select "offset", id, ingested_at from items_cdc order by 1') == before

    run(sink, "pause", "items", "--reason", "a test")
    kafka.produce([shop.create(row(902))])
    run(sink, "resume", "items")
    daemon.await_that(lambda: database.count("items_cdc", "id = 902") == 1, 60, "the rest")
    daemon.stop()

    plan = run(sink, "reset", "--all", "--yes")
    assert {table["table"] for table in plan["tables"]} == {"public.items", "public.items_cdc"}
    assert not database.exists("items_cdc") and not database.exists("items_asof")
    assert database.value("select count(*) from ods_sink.history_tables") == 0


def test_a_lock_holds_partitions_up_and_no_rows(sink, kafka, database, shop):
    now = int(database.value("select extract(epoch from now())")) * 1000
    kafka.produce([shop.create(row(1), ts_ms=now)])
    daemon = sink.daemon().await_ready()
    daemon.await_that(lambda: database.count("items_cdc") == 1 and
                      database.count("items_cdc_default") == 0, 60, "partitions")
    holder = database.connect()
    holder.autocommit = False
    holder.cursor().execute("select count(*) from items_cdc_default")
    kafka.produce([shop.create(row(2), ts_ms=now - 5 * 86_400_000)])
    daemon.await_that(lambda: database.count("items_cdc", "id = 2") == 1, 60, "the row")
    wait_for(lambda: "is tried again" in daemon.log(), 60, "it is told")
    assert database.count("items_cdc_default") == 1
    holder.rollback()
    holder.close()
    daemon.await_that(lambda: database.count("items_cdc_default") == 0, 60, "the partition")
    assert database.count("items_cdc") == 2
    daemon.stop()
