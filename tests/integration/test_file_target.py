"""The file target: JSON lines in rotated files, each change exactly once."""

import json

import pytest

from lib.records import SHAPES, Table, pipeline, row
from lib.sink import Exit, read_lines


class Folder:
    """What a reader of a group's folder sees."""

    def __init__(self, path):
        self.path = path

    def state(self):
        return json.loads((self.path / "state.json").read_text())

    def files(self):
        return sorted(self.path.glob("changes-*.jsonl"))

    def lines(self):
        """All committed changes, in order."""
        state = self.state()
        found = b""
        for path in self.files():
            number = int(path.stem.split("-")[1])
            if number <= state["file"]:
                data = path.read_bytes()
                found += data if number < state["file"] else data[:state["length"]]
        return [json.loads(line) for line in found.decode().splitlines()]

    def offset(self, topic, partition=0):
        return self.state()["positions"][topic][str(partition)][0]


@pytest.fixture
def lines_of(sink, tmp_path):
    """Configure a pipeline into a folder; the folder of its group."""
    def configure(*pipelines, kafka=False, **target):
        directory = tmp_path / "out"
        directory.mkdir(exist_ok=True)
        sink.write(*pipelines, kafka=kafka, targets=[
            {"name": "ods", "type": "file", "directory": str(directory), "flush_ms": 50, **target}])
        return Folder(directory / f"{sink.group}.items")
    return configure


@pytest.mark.parametrize("shape", SHAPES)
def test_changes_become_lines(sink, lines_of, shape):
    table = Table(shape=shape)
    folder = lines_of(pipeline(table))
    sink.replay([table.create(row(1)), table.update(row(1), row(1, 5)), table.delete(row(1, 5))])
    lines = folder.lines()
    assert [line["op"] for line in lines] == ["c", "u", "d"]
    assert lines[1]["after"] == {"id": 1, "name": "n1", "amount": 5}
    assert lines[2]["after"] is None and lines[2]["before"]["amount"] == 5
    assert [line["key"] for line in lines] == [{"id": 1}] * 3
    assert [line["offset"] for line in lines] == [0, 1, 2]
    assert {(line["table"], line["topic"], line["partition"]) for line in lines} == {
        ("items", table.topic, 0)}
    assert lines[0]["source_us"] == 1_760_000_001_000_000
    assert folder.offset(table.topic) == 3


def test_a_second_replay_changes_nothing(sink, lines_of):
    table = Table()
    folder = lines_of(pipeline(table))
    records = [table.create(row(number)) for number in range(20)]
    sink.replay(records)
    before = folder.lines(), folder.state()
    assert sink.replay(records)["pipelines"][0]["skipped"] == 20
    assert (folder.lines(), folder.state()) == before


def test_values_are_what_they_are(sink, lines_of):
    columns = {"id": {"type": "int32"}, "d": {
        "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
        "parameters": {"scale": "2"}}, "t": {"type": "int64", "name": "io.debezium.time.Timestamp"},
        "j": {"type": "string", "name": "io.debezium.data.Json"}, "b": {"type": "boolean"},
        "s": {"type": "string"}, "x": {"type": "bytes"},
        "a": {"type": "array", "items": {"type": "string", "optional": True}}}
    table = Table(columns=columns)
    folder = lines_of(pipeline(table))
    sink.replay([table.create({"id": 1, "d": "O5rKAA==", "t": 1766131347000, "j": '{"a":\n [1]}',
                               "b": True, "s": 'a "q"\n\u0001é', "x": "AQI=", "a": ["x", None]})])
    (line,) = folder.lines()
    assert line["after"] == {"id": 1, "d": 10000000.0, "t": "2025-12-19T08:02:27", "j": {"a": [1]},
                             "b": True, "s": 'a "q"\n\u0001é', "x": "\\x0102", "a": ["x", None]}
    assert '"d":10000000.00' in folder.files()[0].read_text()


def test_columns_and_tables_are_chosen(sink, lines_of):
    table, skipped = Table(), Table("skipped")
    folder = lines_of({**pipeline("^src"), "tables": {
        "items": {"columns": {"exclude": ["name"], "rename": {"amount": "total"}}},
        "skipped": {"skip": True}}})
    sink.replay([table.create(row(1)), skipped.create(row(1))])
    (line,) = folder.lines()
    assert line["after"] == {"id": 1, "total": 0}


def test_files_are_rotated(sink, lines_of):
    table = Table()
    folder = lines_of(pipeline(table), max_bytes=1024)
    for part in range(4):
        sink.replay([table.create(row(part * 10 + number)) for number in range(10)])
    assert [path.name for path in folder.files()] == [
        f"changes-{number:012}.jsonl" for number in range(1, 5)]
    assert [line["key"]["id"] for line in folder.lines()] == list(range(40))


def test_what_a_crash_left_is_cut_off(sink, lines_of):
    table = Table()
    folder = lines_of(pipeline(table))
    sink.replay([table.create(row(1))])
    with open(folder.files()[0], "ab") as file:
        file.write(b'{"half a li')
    sink.replay([table.create(row(2))])
    assert [line["key"]["id"] for line in folder.lines()] == [1, 2]
    assert len(folder.files()[0].read_bytes()) == folder.state()["length"]


def test_a_value_that_cannot_be_written_is_a_letter(sink, lines_of, tmp_path):
    columns = {"id": {"type": "int32"}, "d": {
        "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
        "parameters": {"scale": "2"}}}
    table = Table(columns=columns)
    folder = lines_of(pipeline(table))
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.create({"id": 1, "d": "AQ=="}), table.create({"id": 2, "d": "no base64"}),
                 table.create({"id": 3, "d": "Ag=="})], dead_letter=letters)
    assert [line["key"]["id"] for line in folder.lines()] == [1, 3]
    assert len(read_lines(letters)) == 1 and folder.offset(table.topic) == 3


def test_a_damaged_state_is_not_guessed_about(sink, lines_of):
    table = Table()
    folder = lines_of(pipeline(table))
    sink.replay([table.create(row(1))])
    (folder.path / "state.json").write_text('{"file": 1')
    done = sink.replay_fails([table.create(row(2))], Exit.TARGET)
    assert "state.json" in done.stderr and "put back a copy" in done.stderr


def test_check_tells_the_guarantee_and_the_folder(sink, lines_of, tmp_path):
    lines_of(pipeline("t"))
    assert "items to ods: exactly once" in sink.check().stdout
    lines_of(pipeline("t"), directory=str(tmp_path / "nowhere"))
    done = sink.run("check", "-c", sink.conf, "--connect", expect=None)
    assert f"the folder {tmp_path / 'nowhere'} can't be written" in done.stdout


def test_killed_again_and_again(sink, lines_of, kafka, table):
    """kill -9 at any moment, two lanes of two processes: each change stands there once."""
    folder = lines_of(pipeline(table, lanes=2), kafka=True, max_bytes=20000, flush_ms=5)
    total, kills = 6000, 6
    daemon = sink.daemon()
    for part in range(kills):
        first = part * total // kills
        kafka.produce([table.create(row(number), partition=number % PARTITIONS)
                       for number in range(first, first + total // kills)])
        daemon.await_that(lambda: folder.path.exists() and (folder.path / "state.json").exists()
                          and len(folder.lines()) > first, what="some of it is written")
        daemon.kill()
        daemon = sink.daemon()
    daemon.await_that(lambda: sum(folder.offset(table.topic, p) for p in range(PARTITIONS)
                                  if str(p) in folder.state()["positions"][table.topic]) >= total,
                      what="all of it is written")
    daemon.await_ready().stop()
    lines = folder.lines()
    assert sorted(line["key"]["id"] for line in lines) == list(range(total))
    for partition in range(PARTITIONS):
        offsets = [line["offset"] for line in lines if line["partition"] == partition]
        assert offsets == sorted(offsets)


PARTITIONS = 4
