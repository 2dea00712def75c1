"""An outage is not a bad record: every class of it is provoked, waited out, and loses nothing. What is
neither stops the lane."""

import threading

import psycopg2
import pytest
from lib.postgres import administer
from lib.records import INT, TEXT, Table, pipeline, row
from lib.sink import Exit

OTHERS = ("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{0}' "
          "and application_name = 'ods-sink'")


class Blocker:
    """A session of somebody else's, in a transaction."""

    def __init__(self, database, stack):
        self.connection = psycopg2.connect(
            host=stack["POSTGRES_SOCKET_DIR"], port=stack["POSTGRES_PORT"], user="postgres",
            dbname=database.name)
        self.cursor = self.connection.cursor()

    def close(self):
        self.connection.close()


def lock(database, stack):
    blocker = Blocker(database, stack)
    blocker.cursor.execute("lock table items in share mode")
    return blocker.close


def terminate(database, stack):
    administer(stack, OTHERS.format(database.name))
    return lambda: None


def read_only(database, stack):
    administer(stack, f"alter database {database.name} set default_transaction_read_only = on")
    administer(stack, OTHERS.format(database.name))

    def writable():
        administer(stack, f"alter database {database.name} reset default_transaction_read_only")
        administer(stack, OTHERS.format(database.name))

    return writable


def password(database, stack):
    administer(stack, "alter role ods password 'another'")
    administer(stack, OTHERS.format(database.name))
    return lambda: administer(
        stack, f"alter role ods password '{stack['POSTGRES_PASSWORD']}'")


def full(database, stack):
    administer(stack, f"alter database {database.name} connection limit 1")
    administer(stack, OTHERS.format(database.name))
    return lambda: administer(stack, f"alter database {database.name} connection limit -1")


@pytest.mark.parametrize("provoke, settings, words", [
    (lock, {"lock_timeout_ms": 500}, "lock timeout"),
    (lock, {"statement_timeout_ms": 500, "lock_timeout_ms": 0}, "statement timeout"),
    (terminate, {}, None),
    (read_only, {}, "read-only"),
    (password, {}, "password authentication failed"),
    (full, {}, "too many connections"),
], ids=["55P03", "57014", "57P01", "25006", "28P01", "53300"])
def test_waits_and_goes_on(sink, database, kafka, prefix, stack, provoke, settings, words):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    letters = kafka.create(f"{prefix}.letters", 1)
    kafka.produce([table.create(row(number)) for number in range(10)])
    sink.write(pipeline(table), database=database, kafka=True, lanes=1,
               dead_letter={"topic": letters}, retry={"initial_ms": 50, "max_ms": 300},
               targets=[{"name": "ods", "type": "postgres", "dsn": database.dsn, **settings}])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 10, what="the first rows")
    relieve = provoke(database, stack)
    try:
        kafka.produce([table.create(row(number)) for number in range(10, 20)])
        if words:
            daemon.await_that(lambda: words in daemon.log(), what=words)
            daemon.await_that(lambda: '"waiting"' in daemon.get("/status")[1], what="its state")
            assert daemon.get("/readyz")[0] == 503
            assert stack["POSTGRES_PASSWORD"] not in daemon.log()
    finally:
        relieve()
    daemon.await_that(lambda: database.count("items") == 20, what="all rows")
    daemon.await_that(lambda: daemon.get("/readyz")[0] == 200, what="ready again")
    assert kafka.count(letters) == 0
    daemon.stop()


def test_is_told_once_while_it_lasts(sink, database, kafka, prefix, stack):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.produce([table.create(row(0))])
    sink.write(pipeline(table), database=database, kafka=True, lanes=1, retry={"initial_ms": 50, "max_ms": 100},
               targets=[{"name": "ods", "type": "postgres", "dsn": database.dsn, "lock_timeout_ms": 100}])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 1, what="the first row")
    daemon.await_that(lambda: "caught up" in daemon.get("/status")[1], what="nothing is left to do")
    relieve = lock(database, stack)
    try:
        kafka.produce([table.create(row(1))])
        daemon.await_that(lambda: (daemon.metric("ods_sink_retries_total") or 0) >= 4, what="some attempts")
        assert "waiting, and trying again until it works" in daemon.log() and "still waiting" not in daemon.log()
    finally:
        relieve()
    daemon.await_that(lambda: database.count("items") == 2, what="all rows")
    daemon.stop()


def test_deadlock(sink, database, kafka, prefix, stack):
    """40P01: the other session asks for what the sink has while the sink waits for what it has."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    letters = kafka.create(f"{prefix}.letters", 1)
    kafka.produce([table.create(row(number)) for number in (1, 2)])
    sink.write(pipeline(table), database=database, kafka=True, dead_letter={"topic": letters},
               retry={"initial_ms": 50, "max_ms": 300})
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 2, what="the rows")
    blocker = Blocker(database, stack)
    blocker.cursor.execute("set deadlock_timeout = '1min'")
    blocker.cursor.execute("select from items where id = 2 for update")
    kafka.produce([table.update(row(1), row(1, 1)), table.update(row(2), row(2, 1))])
    waits = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' " \
        f"and datname = '{database.name}' and application_name = 'ods-sink'"
    daemon.await_that(lambda: database.value(waits), what="the sink waits")
    other = threading.Thread(
        target=lambda: blocker.cursor.execute("update items set amount = amount where id = 1"))
    other.start()
    daemon.await_that(lambda: "deadlock detected" in daemon.log(), what="the deadlock")
    other.join(60)
    blocker.close()
    daemon.await_that(lambda: database.execute("select amount from items") == [(1,), (1,)],
                      what="the updates")
    assert kafka.count(letters) == 0
    daemon.stop()


def test_gives_up_after_max_elapsed(sink, database, kafka, prefix, stack):
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.produce([table.create(row(1))])
    sink.write(pipeline(table), database=database, kafka=True,
               retry={"initial_ms": 50, "max_ms": 200, "max_elapsed_ms": 1500},
               targets=[{"name": "ods", "type": "postgres", "dsn": database.dsn,
                         "lock_timeout_ms": 100}])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 1, what="the row")
    relieve = lock(database, stack)
    kafka.produce([table.create(row(2))])
    assert daemon.process.wait(60) == Exit.TARGET
    relieve()
    assert "retry.max_elapsed_ms" in daemon.log() and "lock timeout" in daemon.log()


@pytest.mark.parametrize("sqlstate", ["XX123", "P0001"])
def test_what_a_trigger_says_stops_the_lane_where_it_is_to(sink, database, sqlstate):
    database.execute(f"""
        create table items (id int primary key, name text, amount int, cdc_operation text,
                            cdc_timestamp timestamptz);
        create function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'the moon is full' using errcode = '{sqlstate}'; end $$;
        create trigger refuse before insert on items for each row execute function refuse()""")
    table = Table()
    sink.write(pipeline(table, defaults={"on_trigger_error": "stop"}), database=database)
    done = sink.replay_fails([table.create(row(1))], Exit.TARGET)
    assert "the moon is full" in done.stderr
    assert database.offsets() == {} or set(database.offsets().values()) == {0}


# What others do to the tables while the sink runs.

CHANGES = {
    "column dropped": "alter table items drop column name",
    "column's type changed": "alter table items alter column amount type bigint",
    "column made text": "alter table items alter column amount type text",
    "table renamed": "alter table items rename to old_items",
    "table replaced": "alter table items rename to old_items; create table items "
                      "(id bigint primary key, amount numeric, cdc_operation text, "
                      "cdc_timestamp timestamptz)",
    "key's index replaced": "alter table items drop constraint items_pkey; "
                            "alter table items add primary key (id)",
    "column added before": "alter table items add column extra text default 'x'",
}


@pytest.mark.parametrize("what", CHANGES)
def test_changes_by_others(sink, database, kafka, prefix, what):
    table = Table(prefix=prefix, columns={"id": INT, "name": TEXT, "amount": INT})
    kafka.create(table.topic, 1)
    letters = kafka.create(f"{prefix}.letters", 1)
    sink.write(pipeline(table, defaults={"evolve": "none"}), database=database, kafka=True, lanes=1,
               dead_letter={"topic": letters})
    kafka.produce([table.create(row(number, 5)) for number in range(5)])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 5, what="the first rows")
    database.execute(CHANGES[what])
    kafka.produce([table.create(row(number, 5)) for number in range(5, 10)])
    daemon.await_that(lambda: list(database.offsets().values()) == [10], what="the end")
    assert database.count("items", "id >= 5 and amount::text = '5'") == 5
    assert kafka.count(letters) == 0
    daemon.stop()


def test_a_unique_index_that_goes_keeps_no_other_table_waiting(sink, database, kafka, prefix):
    """Nothing to conflict with any more: the table's records are letters that say what to run, once
    in the log; the others go on, and so does this one when the index is back."""
    table, other = Table(prefix=prefix), Table("others", prefix=prefix)
    for each in (table, other):
        kafka.create(each.topic, 1)
    letters = kafka.create(f"{prefix}.letters", 1)
    sink.write(pipeline(f"^{prefix}.shop"), database=database, kafka=True,
               dead_letter={"topic": letters})
    kafka.produce([table.create(row(1))])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 1, what="the first row")
    database.execute("alter table items drop constraint items_pkey")
    kafka.produce([table.create(row(2)), other.create(row(1)), table.create(row(3))])
    daemon.await_that(lambda: kafka.count(letters) == 2 and database.count("others") == 1,
                      what="two letters, and the other table's row")
    assert daemon.log().count("info  table items: its key") == 1
    database.execute("alter table items add primary key (id)")
    numbers = iter(range(4, 1000))

    def taken():
        kafka.produce([table.create(row(next(numbers)))])
        return database.count("items") > 1

    daemon.await_that(taken, what="a row with the key that is back")
    daemon.stop()
    assert daemon.log().count("info  table items: its key") == 1
