"""`ods-sink reset` of pipelines that read a file: no Kafka is asked, nor configured; and what `reset
--all` forgets of tables that are made anew."""

import json

import pytest

from lib.records import Table, pipeline
from lib.sink import Exit, write_lines


@pytest.fixture
def table(sink, database, tmp_path):
    table = Table()
    rotated, records = tmp_path / "in.jsonl.1", tmp_path / "in.jsonl"
    write_lines(rotated, [table.create({"id": n, "name": "x", "amount": 1}) for n in range(3)])
    write_lines(records, [table.create({"id": n, "name": "x", "amount": 1}, partition=n % 2)
                          for n in range(3, 7)])
    sink.write({**pipeline(table), "input": {"type": "file", "path": str(records),
                                             "rotated": str(rotated)}}, database=database)
    return table


def reset(sink, table, *arguments, expect=Exit.OK):
    done = sink.run("reset", "-c", sink.conf, "--topic", table.topic, "--json", *arguments,
                    expect=expect)
    return [(one["partition"], one["old"], one["new"])
            for one in json.loads(done.stdout)["partitions"]] if done.stdout else done.stderr


def test_a_file_is_read_again(sink, database, table):
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 7)
    said = reset(sink, table, "--to", "earliest", expect=Exit.NEGATIVE)
    assert "stop every daemon" in said
    daemon.stop()
    assert reset(sink, table, "--to", "earliest", "--dry-run") == [(0, 5, 0), (1, 2, 0)]
    assert reset(sink, table, "--to", "latest") == [(0, 5, 5), (1, 2, 2)]
    assert reset(sink, table, "--to", "1", "--partition", "1") == [(1, 2, 1)]
    assert "none of them" in reset(sink, table, "--to", "9", expect=Exit.USAGE)
    assert "no record of topic" in reset(sink, table, "--to", "0", "--partition", "7",
                                         expect=Exit.USAGE)
    # The fifth record's time (in milliseconds), written as a moment.
    assert reset(sink, table, "--to", "2025-10-09T08:53:25.010Z", "--dry-run") == [
        (0, 5, 3), (1, 1, 1)]
    assert reset(sink, table, "--to", "earliest") == [(0, 5, 0), (1, 1, 0)]
    database.execute("delete from items")
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 7)
    daemon.stop()


def test_all_forgets_what_is_made_anew(sink, kafka, database, prefix):
    """A resync that was left in the middle: its table, its row in ods_sink.shadows, its offsets."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.produce([table.create({"id": n, "name": "x", "amount": 1}) for n in range(3)])
    sink.write(pipeline(table), database=database, kafka=True)
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 3)
    daemon.stop()
    group = database.value("select min(consumer_group) from ods_sink.offsets")
    shadow = database.value("select shadow_name_ from ods_sink.shadow_make(%s, 'public', 'items', %s, "
                            "false)", group, f"{group}.resync.public.items")
    assert database.exists(shadow)
    database.execute("insert into ods_sink.offsets select %s || suffix, 'a topic', 0, 7 from (values "
                     "('.resync.public.items'), ('.resync.public.gone'), ('x')) v (suffix)", group)
    sink.run("reset", "-c", sink.conf, "--all", "--yes")
    assert not database.exists(shadow)
    assert database.count("ods_sink.shadows") == 0
    assert database.execute("select consumer_group from ods_sink.offsets") == [(group + "x",)]
