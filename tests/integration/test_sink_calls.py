"""What a batch meets that a lane applies: interrupts of others, commits without an answer, statements
that take long, other transactions in its middle."""

import os
import re
import subprocess

from conftest import build
from lib.records import INT, TEXT, Table, pipeline
from lib.sink import assert_clean

ITEMS = {"id": INT, "name": TEXT}


def calls(sink, stack, circumstance, records):
    program = build("asan").parent / "tests" / "integration" / "sink_calls"
    done = subprocess.run([program, circumstance, sink.conf, sink.file_of(records)], text=True,
                          capture_output=True, timeout=120,
                          env={**os.environ, **stack.environment()})
    assert_clean(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def slow_checks(database, table, column, kind, milliseconds):
    """Each row that is written, or rewritten, takes so long."""
    database.execute(f"""
        create function slow({kind}) returns boolean language plpgsql as $$
        begin perform pg_sleep({milliseconds / 1000}); return true; end $$;
        alter table {table} add check (slow({column})) not valid""")


def test_an_interrupt_of_an_earlier_batch(sink, database, stack):
    items = Table(columns=ITEMS)
    sink.write(pipeline(items), database=database)
    said = calls(sink, stack, "interrupted",
                 [items.create({"id": number, "name": "n"}) for number in range(5)])
    assert said.startswith("ok ok ok ok ok upserted=5")


def test_a_batch_without_claims_is_applied_again(sink, database, stack):
    items = Table(columns=ITEMS)
    sink.write(pipeline(items), database=database)
    said = calls(sink, stack, "unsettled",
                 [items.create({"id": number, "name": "n"}) for number in range(3)])
    assert said.startswith("ok ok ok upserted=3") and database.count("items") == 3


def test_a_statement_that_takes_long_is_a_sign_of_life(sink, database, stack):
    items = Table(columns=ITEMS)
    sink.write(pipeline(items), database=database)
    sink.replay([items.create({"id": 1, "name": "n"})])

    def signs(number):
        said = calls(sink, stack, "slow", [items.create({"id": number, "name": "n"})])
        database.execute("delete from ods_sink.offsets")
        return int(re.search(r"^ok upserted=1 alive=(\d+)", said).group(1))

    database.execute("delete from ods_sink.offsets")
    fast = signs(2)
    slow_checks(database, "items", "name", "text", 3500)
    assert signs(3) >= fast + 2


def test_a_rewrite_is_no_statement_that_times_out(sink, database):
    """The rows' statements are, still."""
    narrow = Table(columns=ITEMS)
    wide = Table(columns={**ITEMS, "id": {"type": "int64"}})
    wide._offsets = narrow._offsets
    target = [{"name": "ods", "type": "postgres", "dsn": database.dsn,
               "statement_timeout_ms": 400}]
    sink.write(pipeline(narrow, defaults={"evolve": "full"}), targets=target)
    sink.replay([narrow.create({"id": number, "name": "n"}) for number in range(60)])
    slow_checks(database, "items", "id", "bigint", 20)
    database.execute("alter table items validate constraint items_id_check")
    summary = sink.replay([wide.create({"id": 2**40, "name": "n"})])
    assert summary["pipelines"][0]["columns_changed"] == 1
    assert database.columns("items")["id"] == "bigint" and database.count("items") == 61
    database.execute("drop function slow cascade")
    slow_checks(database, "items", "id", "bigint", 600)
    said = sink.run("replay", "-c", sink.conf, "--wait", 1,
                    sink.file_of([wide.create({"id": 3, "name": "m"})]), expect=5).stderr
    assert "statement timeout" in said


def test_rows_of_a_batch_in_two_transactions_are_counted_once(sink, database, kafka, prefix):
    """What stands before a row that waits for its parent, in vain, is committed meanwhile."""
    database.execute("""
        create table parents (id integer primary key);
        insert into parents values (1);
        create table items (id integer primary key, name text,
            parent integer references parents, cdc_operation text, cdc_timestamp timestamp)""")
    items = Table(prefix=prefix, columns={**ITEMS, "parent": INT})
    kafka.create(items.topic, 3)
    sink.write(pipeline(items, defaults={"on_delete": "hard"}), database=database, kafka=True,
               lanes=1, dead_letter={"topic": f"letters-{prefix}"},
               retry={"initial_ms": 5, "max_ms": 10, "constraint_attempts": 3})

    def rows(first, count, partition, parent=1):
        return [items.create({"id": number, "name": "n", "parent": parent}, partition=partition)
                for number in range(first, first + count)]

    kafka.produce([*rows(0, 700, 0), *rows(700, 1, 0, parent=777), *rows(701, 99, 0),
                   *rows(1000, 50, 1), items.delete({"id": 5000}, partition=1),
                   *rows(1050, 2, 1, parent=778),
                   *rows(2000, 10, 2)])
    daemon = sink.daemon()

    def counted():
        return [sum(float(line.split()[-1]) for line in daemon.get("/metrics")[1].splitlines()
                    if line.startswith(f"ods_sink_{name}"))
                for name in ("records_total{", 'rows_total{', "deletes_missing_total{",
                             "records_rejected_total{")]

    daemon.await_that(lambda: counted()[0] == 863, 60, lambda: f"all records: {counted()}")
    assert database.count("items") == 859
    assert counted() == [863, 859, 1, 3]
    assert daemon.metric("ods_sink_retries_total") > 0
    daemon.stop()
