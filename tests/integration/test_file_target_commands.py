"""What operators do to a file target: offsets that are moved, letters that are applied afterwards, and
a folder that is no longer as it was left."""

import json

import pytest
from lib.records import Table, pipeline, row
from lib.sink import Exit

from test_file_target import Folder

PARTITIONS = 2


@pytest.fixture
def written(sink, tmp_path):
    """Configure a pipeline into a folder; the folder of its group."""
    def configure(table, kafka=False, target=None, **settings):
        directory = tmp_path / "out"
        directory.mkdir(exist_ok=True)
        sink.write(pipeline(table), kafka=kafka, targets=[
            {"name": "ods", "type": "file", "directory": str(directory), "flush_ms": 20,
             **(target or {})}], **settings)
        return Folder(directory / f"{sink.group}.items")
    return configure


def keys(folder):
    return [line["key"]["id"] for line in folder.lines()]


def run_until(sink, folder, table, ends):
    daemon = sink.daemon()
    daemon.await_that(lambda: folder.path.joinpath("state.json").exists() and all(
        folder.state()["positions"].get(table.topic, {}).get(str(partition), [0])[0] == end
        for partition, end in ends.items()), what=f"offsets {ends}")
    daemon.stop()


def test_reset_writes_the_lines_again(sink, written, kafka, table):
    folder = written(table, kafka=True)
    kafka.produce([table.create(row(n), partition=n % PARTITIONS) for n in range(20)])
    run_until(sink, folder, table, {0: 10, 1: 10})

    def reset(*arguments, expect=Exit.OK):
        return sink.run("reset", "-c", sink.conf, "--topic", table.topic, *arguments, expect=expect)

    before = folder.state()
    assert "nothing was changed" in reset("--to", "earliest", "--dry-run").stdout
    assert folder.state() == before
    done = reset("--to", "4", "--partition", "1")
    assert done.stdout.splitlines()[-1].split() == [table.topic, "1", "10", "4"]
    assert [folder.offset(table.topic, partition) for partition in (0, 1)] == [10, 4]
    run_until(sink, folder, table, {0: 10, 1: 10})
    assert keys(folder)[20:] == [9, 11, 13, 15, 17, 19]
    reset("--to", "latest")
    reset("--to", "99", expect=Exit.USAGE)
    assert folder.offset(table.topic, 1) == 10


def test_a_letter_is_written_apart_when_forced(sink, written, kafka, table, prefix):
    letters = kafka.create(f"{prefix}.letters", 1)
    configure = {"kafka": True, "dead_letter": {"topic": letters}}
    folder = written(table, **configure)
    tables = sink.folder / "tables.yaml"
    usual = tables.read_text()
    # An update that does not carry the row before can't be told by another key than its own.
    tables.write_text(usual + "  tables:\n    items: {key: [name]}\n")
    kafka.produce([table.create(row(1)), table.update(None, row(1, 5)), table.create(row(2)),
                   table.record('{"id": 3}', "no JSON")])
    run_until(sink, folder, table, {0: 4})
    tables.write_text(usual)
    assert keys(folder) == [1, 2]

    def replay(*arguments, expect=Exit.OK):
        done = sink.run("dlq", "replay", "--json", "-c", sink.conf, *arguments, expect=expect)
        return json.loads(done.stdout)

    plain = replay(expect=Exit.NEGATIVE)
    assert (plain["replayed"], plain["refused"]) == (0, 2)
    assert "can't be compared with a letter" in plain["refusals"][0]["error"]
    assert keys(folder) == [1, 2]
    forced = replay("--force", expect=Exit.NEGATIVE)
    assert (forced["replayed"], forced["refused"]) == (1, 1)
    apart = Folder(folder.path.with_name(f"{folder.path.name}.dlq"))
    line, = apart.lines()
    assert (line["topic"], line["offset"], line["after"]["amount"]) == (table.topic, 1, 5)
    assert replay("--force", expect=Exit.NEGATIVE)["replayed"] == 0
    assert "1 skipped" in sink.run("dlq", "skip", "-c", sink.conf, "--all").stdout
    assert keys(apart) == [1] and keys(folder) == [1, 2]


def leave_state_out(folder):
    (folder.path / "state.json").unlink()


def cut_lines(folder):
    path = folder.files()[-1]
    path.write_bytes(path.read_bytes()[:-1])


def take_file(folder):
    folder.files()[-1].unlink()


def write_state(text):
    def write(folder):
        (folder.path / "state.json").write_text(text)
    return write


DAMAGE = {
    "state removed": (leave_state_out, "it is gone"), "lines cut": (cut_lines, "shorter"),
    "file removed": (take_file, "shorter"), "empty": (write_state(""), "'[' or '{' expected"),
    "a list": (write_state("[]"), "state.json"), "no members": (write_state("{}"), "missing"),
    "negative": (write_state('{"file": 1, "length": -1, "begun_us": 0, "positions": {}}'), "missing"),
    "no positions": (write_state('{"file": 1, "length": 1, "begun_us": 0, "positions": 1}'),
                     "missing"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_not_as_it_was_left_is_left_alone(sink, written, name):
    damage, text = DAMAGE[name]
    table = Table()
    folder = written(table)
    sink.replay([table.create(row(1))])
    state, lines = folder.path.joinpath("state.json").read_bytes(), folder.files()[0].read_bytes()
    damage(folder)
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    done = sink.replay_fails([table.create(row(2))], Exit.TARGET)
    assert text in done.stderr and "put back a copy" in done.stderr
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before
    folder.path.joinpath("state.json").write_bytes(state)
    (folder.path / "changes-000000000001.jsonl").write_bytes(lines)
    sink.replay([table.create(row(2))])
    assert keys(folder) == [1, 2]


def test_a_value_in_a_record_of_two_changes_takes_both_along(sink, written, tmp_path):
    """A key that changes is a delete and a create; a line of one alone would be half of it."""
    table = Table()
    folder = written(table)
    tables = sink.folder / "tables.yaml"
    tables.write_text(tables.read_text() + "  tables:\n    items: {key: [name]}\n")
    sink.replay([table.create(row(1)), table.update(row(1), {**row(1), "name": "other"})],
                dead_letter=tmp_path / "letters.jsonl")
    assert [(line["op"], line["offset"]) for line in folder.lines()] == [("c", 0), ("d", 1), ("c", 1)]
