"""`ods-sink reset --all`: a pipeline begins anew."""

import json
import os
import pty
import subprocess

import pytest
from lib.records import Table, pipeline
from lib.sink import Exit


def reset(sink, *arguments, expect=Exit.OK):
    done = sink.run("reset", "-c", sink.conf, "--all", "--json", *arguments, expect=expect)
    return json.loads(done.stdout) if done.stdout else done.stderr


@pytest.fixture
def filled(kafka, sink, database, prefix):
    """Two tables: one that ods-sink made, one of somebody else's."""
    tables = [Table(prefix=prefix), Table(name="others", prefix=prefix)]
    database.execute("create table others (id int primary key, name text, amount int, cdc_operation text, "
                     "cdc_timestamp timestamptz)")
    for table in tables:
        kafka.create(table.topic, 1)
        kafka.produce([table.create({"id": n, "name": "x", "amount": 1}) for n in range(3)])
    kafka.create(f"{prefix}.letters", 1)
    sink.write({**pipeline("t", name="shop"), "topics": [f"^{prefix}\\.shop\\..*$"]},
               database=database, kafka=True, dead_letter={"topic": f"{prefix}.letters"})
    fill(sink, database)
    return tables


def fill(sink, database):
    daemon = sink.daemon()
    daemon.await_that(lambda: all(database.exists(name) and database.count(name) == 3
                                  for name in ("items", "others")), 60, "rows")
    return daemon.stop()


def test_it_begins_anew(filled, sink, database, kafka, prefix):
    plan = reset(sink, "--dry-run")
    assert not plan["changed"] and database.count("items") == 3
    assert {table["table"]: table["what"] for table in plan["tables"]} == {
        "public.items": "dropped", "public.others": "emptied"}
    assert plan["offsets"] == 2 and plan["dead_letters"] == f"{prefix}.letters"

    assert "--yes" in sink.run("reset", "-c", sink.conf, "--all", expect=Exit.USAGE).stderr
    assert database.count("items") == 3

    sink.run("pause", "-c", sink.conf, "items", "--reason", "a bad load")  # holds nothing afterwards
    assert reset(sink, "--yes")["changed"]
    assert not database.exists("items") and database.count("others") == 0
    assert database.execute("select count(*) from ods_sink.offsets")[0][0] == 0
    assert kafka.count(f"{prefix}.letters") == 0
    assert kafka.committed(f"{sink.group}.shop", filled[0].topic, 1) == [-1001]
    assert reset(sink, "--yes")["tables"] == []  # none of them is of a pipeline any more
    fill(sink, database)  # from the topics' beginning


def test_not_while_a_daemon_runs(filled, sink, database):
    daemon = sink.daemon().await_ready()
    assert "stop every daemon" in reset(sink, "--yes", expect=Exit.NEGATIVE)
    assert database.count("items") == 3
    daemon.stop()


def test_what_another_pipeline_writes_stays(filled, sink, database, prefix):
    one, other = filled
    sink.write(pipeline(one, name="shop"),
               {**pipeline(other, name="both"), "topics": [f"^{prefix}\\.shop\\..*$"]},
               database=database, kafka=True, dead_letter={"topic": f"{prefix}.letters"})
    assert "--pipeline" in reset(sink, "--yes", expect=Exit.USAGE)
    plan = reset(sink, "--pipeline", "shop", "--yes")
    assert plan["tables"] == [] and plan["dead_letters"] is None
    assert "public.items" in [kept["what"] for kept in plan["kept"]]
    assert database.count("items") == 3


def test_all_or_nothing(filled, sink, database):
    """A view on a table: neither that nor the offsets go."""
    database.execute("create view looks as select * from items")
    assert "looks" in reset(sink, "--yes", expect=Exit.TARGET)
    assert database.count("items") == 3 and database.count("others") == 3
    assert database.execute("select count(*) from ods_sink.offsets")[0][0] == 2


@pytest.mark.parametrize("typed, code", [("shop", 0), ("y", 1), ("", 1)])
def test_the_name_has_to_be_typed(filled, sink, database, typed, code):
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sink.binary, "reset", "-c", sink.conf, "--all"], stdin=theirs,
                               stderr=theirs, stdout=subprocess.DEVNULL,
                               env=sink.stack.environment())
    os.close(theirs)
    said = b""
    while b"go on: " not in said:
        said += os.read(ours, 1000)
    os.write(ours, typed.encode() + b"\n")
    assert process.wait(60) == code
    os.close(ours)
    assert database.exists("items") == bool(code)


def test_what_another_group_writes_stays(filled, sink, database, prefix):
    """One of another configuration, which this one knows nothing of."""
    one, _ = filled
    sink.write({**pipeline(one, name="other"), "group_id": f"{prefix}-elsewhere"},
               database=database, kafka=True)
    other = sink.daemon()
    other.await_that(lambda: database.value("select count(*) from ods_sink.offsets where "
                                            "consumer_group = %s", f"{prefix}-elsewhere") == 1, 60)
    other.stop()
    sink.write({**pipeline("t", name="shop"), "topics": [f"^{prefix}\\.shop\\..*$"]},
               database=database, kafka=True)
    plan = reset(sink, "--yes")
    assert [table["table"] for table in plan["tables"]] == ["public.others"]
    assert f"{prefix}-elsewhere" in next(kept["why"] for kept in plan["kept"]
                                         if kept["what"] == "public.items")
    assert database.count("items") == 3 and database.count("others") == 0


def test_a_table_that_nothing_has_come_to_stays(filled, sink, database, kafka, prefix):
    """It has the name that a topic's table would get, and rows of somebody else's."""
    table = Table(name="theirs", prefix=prefix)
    kafka.create(table.topic, 1)
    database.execute("create table theirs as select 1 as id")
    plan = reset(sink, "--yes")
    assert "public.theirs" in [kept["what"] for kept in plan["kept"]]
    assert database.count("theirs") == 1 and not database.exists("items")
