"""Faults that were found once, each with what shows it."""

import json
import os
import threading
import time

from lib.maxwell import Table as MaxwellTable
from lib.maxwell import pipeline as maxwell_pipeline
from lib.postgres import administer
from lib.records import INT, TEXT, Table, pipeline, row
from lib.sink import Exit, read_lines, write_lines
from conftest import ROOT


def test_a_column_altered_and_altered_back(sink, database, kafka, prefix):
    """What the encoder refuses is refused by the table as it is, not as it was when a letter came."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    letters = kafka.create(f"{prefix}.letters", 1)
    database.execute("create table items (id int primary key, name text, amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    sink.write(pipeline(table), database=database, kafka=True, lanes=1,
               dead_letter={"topic": letters})
    daemon = sink.daemon()
    kafka.produce([table.create(row(1, 70000))])
    daemon.await_that(lambda: database.count("items") == 1)
    database.execute("delete from items; alter table items alter amount type smallint")
    kafka.produce([table.create(row(2, 70000))])
    daemon.await_that(lambda: kafka.count(letters) == 1, what="a letter")
    database.execute("alter table items alter amount type int")
    kafka.produce([table.create(row(3, 70000)), table.create(row(4, 1))])
    daemon.await_that(lambda: database.count("items") == 2, what="both rows")
    assert kafka.count(letters) == 1
    # and a text that no type before could take
    database.execute("alter table items alter name type date using null")
    kafka.produce([table.create(row(5))])
    daemon.await_that(lambda: kafka.count(letters) == 2, what="a second letter")
    database.execute("alter table items alter name type text")
    kafka.produce([table.create(row(6)), table.create(row(7))])
    daemon.await_that(lambda: database.count("items") == 4, what="rows again")
    assert kafka.count(letters) == 2
    daemon.stop()


def test_a_redacted_key_in_a_look_up(sink, database, tmp_path):
    """The old key of a row that got another one is looked up; PostgreSQL's refusal quotes it."""
    table = Table(columns={"id": TEXT, "name": TEXT, "body": TEXT}, key=("id",))
    database.execute("create table items (id inet primary key, name text, body text, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    sink.write({**pipeline(table), "tables": {"items": {"redact": ["id"]}}}, database=database)
    moved = table.create({"id": "10.0.0.1", "name": "x", "body": "__debezium_unavailable_value"})
    moved["headers"] = ["__debezium.oldkey", json.dumps({"schema": json.loads(moved["key"])["schema"],
                                                         "payload": {"id": "hidden words"}})]
    letters = tmp_path / "letters.jsonl"
    done = sink.run("replay", "-c", sink.conf, "--dead-letter", letters, sink.file_of([moved]))
    notes = [letter["headers"] for letter in read_lines(letters)] if letters.exists() else []
    assert len(notes) == 1 and "redacted" in str(notes), notes
    shown = [value for note in notes for name, value in zip(note[::2], note[1::2])
             if name.startswith("ods.")]
    assert "hidden" not in str(shown) + done.stdout + done.stderr


def test_a_file_has_an_end_to_its_partitions(sink, tmp_path):
    table = Table()
    records = tmp_path / "many.jsonl"
    write_lines(records, [table.create(row(n), partition=n) for n in range(10001)])
    done = sink.run("decode", records, expect=None)
    assert done.returncode != Exit.OK
    assert "partition 10000 of topic" in done.stderr and "10000 that a file may have" in done.stderr


def test_rights_that_an_upgrade_needs(sink, databases, stack):
    """A table that is new in the sink's own schema has no grants yet: the message has them."""
    database = databases()
    role = f"least_{database.name}"
    administer(stack, f"create role {role} login password 'pw'")
    try:
        administer(stack, (ROOT / "sql" / "ods_sink.sql").read_text() +
                   f"; grant usage on schema ods_sink to {role}; grant select, insert, update, delete, "
                   f"truncate on all tables in schema ods_sink to {role}; revoke all on "
                   "ods_sink.topic_tables from " + role, database.name)
        table = Table()
        database.execute("create table items (id int primary key, name text, amount int, cdc_operation "
                         f"text, cdc_timestamp timestamptz); grant all on items to {role}")
        sink.write(pipeline(table), targets=[{"name": "ods", "type": "postgres",
                                              "dsn": f"{database.dsn} user={role} password=pw"}])
        said = sink.replay_fails([table.create(row(1))], Exit.TARGET).stderr
        assert f"to {role}" in said and "sql/ods_sink.sql" in said
        grants = said[said.index("grant usage"):].split(";")
        administer(stack, ";".join(grants[:2]).strip(), database.name)
        assert sink.replay([table.create(row(1))])["applied"] == 1
    finally:
        administer(stack, f"drop owned by {role}; drop schema if exists ods_sink cascade",
                   database.name)
        administer(stack, f"drop role {role}")


def test_a_pipe_outlives_an_outage(sink, database, tmp_path):
    """A lane that waited for its target goes on where it was: what its decoder has seen it need not
    see again, and a pipe could not say it again."""
    table, path = Table(), tmp_path / "pipe"
    os.mkfifo(path)
    sink.write({**pipeline(table), "input": {"type": "file", "path": str(path)}}, lanes=1,
               database=database, batch={"max_events": 10})
    daemon = sink.daemon()
    with open(path, "w", encoding="utf-8") as writer:
        def send(first, last):
            for n in range(first, last):
                writer.write(json.dumps(table.create(row(n))) + "\n")
            writer.flush()

        send(0, 100)
        daemon.await_that(lambda: database.count("items") == 100)
        blocker = database.connect()
        with blocker.cursor() as cursor:
            cursor.execute("begin; lock table items in access exclusive mode")
            sending = threading.Thread(target=send, args=(100, 300))
            sending.start()  # a pipe takes no more than the lane reads
            time.sleep(3)  # so long that the lane gives its partitions a rest
            cursor.execute("commit")
        blocker.close()
        sending.join(60)
        daemon.await_that(lambda: database.count("items") == 300)
        assert daemon.running()
        daemon.stop()


def test_trace_of_maxwells_records(sink, database, kafka, prefix):
    table = MaxwellTable(prefix=prefix)
    for topic in (table.topic, table.ddl_topic):
        kafka.create(topic, 1)
    letters = kafka.create(f"letters-{prefix}", 1)
    one, two = {"id": 1, "name": "a"}, {"id": 2, "name": "b"}
    kafka.produce([table.ddl("table-create", {"id": {"type": "int", "signed": True},
                                              "name": "varchar"})])
    kafka.produce([table.insert(one), table.insert(two), table.update(one, {**one, "name": "c"}),
                   table.delete(two)])
    sink.write(maxwell_pipeline(f"^{prefix}\\..*", schema_topic=table.ddl_topic,
                                defaults={"on_delete": "hard"}),
               database=database, kafka=True, dead_letter={"topic": letters})
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items") and
                      database.execute("select id, name from items") == [(1, "c")])
    daemon.stop()

    def trace(key, expect=Exit.OK):
        return json.loads(sink.run("trace", "-c", sink.conf, "items", "--key", key, "--json",
                                   expect=expect).stdout)

    first, second = trace("1"), trace("2")
    assert [(one["offset"], one["op"]) for one in first["records"]] == [(0, "c"), (2, "u")]
    assert first["records"][1]["after"]["name"] == "c"
    assert [(one["offset"], one["op"]) for one in second["records"]] == [(1, "c"), (3, "d")]
    database.execute("update items set name = 'by hand'")
    assert trace("1", expect=Exit.NEGATIVE)["verdict"] != first["verdict"]
