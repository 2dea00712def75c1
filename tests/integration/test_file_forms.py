"""The file target's other forms: a table's own files, CSV, compression. Each change exactly once."""

import csv
import gzip
import io
import json
import subprocess

import pytest

from lib.records import INT, TEXT, Table, pipeline, row
from lib.sink import Exit

DECIMAL = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
           "parameters": {"scale": "2"}}
OPEN = {"gzip": gzip.decompress,
        "zstd": lambda data: subprocess.run(["zstd", "-dc"], input=data, check=True,
                                            stdout=subprocess.PIPE).stdout,
        "none": lambda data: data}


class Files:
    """What a reader of the folder sees, by name: the valid bytes of each file, unpacked."""

    def __init__(self, path, compression="none"):
        self.path, self.unpack = path, OPEN[compression]

    def state(self):
        return json.loads((self.path / "state.json").read_text())

    def of(self, name, ending):
        state = self.state()
        place, found = state.get("files", {}).get(name, state), []
        for number in range(1, place["file"] + 1):
            data = (self.path / f"{name}-{number:012}.{ending}").read_bytes()
            found.append(self.unpack(data if number < place["file"] else data[:place["length"]]))
        return [data.decode() for data in found]


@pytest.fixture
def files_of(sink, tmp_path):
    def configure(*pipelines, kafka=False, **target):
        directory = tmp_path / "out"
        directory.mkdir(exist_ok=True)
        sink.write(*pipelines, kafka=kafka, targets=[
            {"name": "ods", "type": "file", "directory": str(directory), "flush_ms": 20, **target}])
        return Files(directory / f"{sink.group}.{pipelines[0]['name']}",
                     target.get("compression", "none"))
    return configure


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_tables_have_files_of_their_own(sink, files_of):
    items, others = Table(), Table("a/b c")
    files = files_of(pipeline("^src"), file_name="{{database}}.{{table}}")
    sink.replay([items.create(row(1)), others.create(row(2)), items.create(row(3))])
    sink.replay([others.create(row(4))])
    (text,) = files.of("shop.items", "jsonl")
    assert [json.loads(line)["key"]["id"] for line in text.splitlines()] == [1, 3]
    (text,) = files.of("shop.a%2Fb%20c", "jsonl")
    assert [json.loads(line)["key"]["id"] for line in text.splitlines()] == [2, 4]


def test_csv(sink, files_of):
    columns = {"id": INT, "name": TEXT, "d": DECIMAL, "tags": {"type": "array", "items": {
        "type": "string"}}}
    table = Table(columns=columns)
    files = files_of(pipeline(table), file_name="{{table}}", format="csv")
    name = 'a "q", b\nnext'
    first = {"id": 1, "name": name, "d": "O5rKAA==", "tags": ["x", "y"]}
    sink.replay([table.create(first), table.create({"id": 2, "name": "", "d": None, "tags": None}),
                 table.delete(first)])
    (text,) = files.of("items", "csv")
    assert text.splitlines()[0] == "op,source_us,topic,partition,offset,absent,id,name,d,tags"
    created, empty, deleted = rows(text)
    assert created["name"] == name and created["d"] == "10000000.00"
    assert json.loads(created["tags"]) == ["x", "y"] and created["offset"] == "0"
    assert created["source_us"] == "1760000001000000" and created["topic"] == table.topic
    assert deleted["op"] == "d" and deleted["name"] == name
    assert '2,"",,' in text and empty["name"] == ""


def test_csv_tells_what_is_not_carried(sink, files_of):
    table = Table(columns={"id": INT, "body": TEXT})
    files = files_of({**pipeline(table), "source": {"connector": "postgresql"}}, file_name="{{table}}",
                     format="csv")
    sink.replay([table.update(None, {"id": 1, "body": "__debezium_unavailable_value"})])
    (line,) = rows(files.of("items", "csv")[0])
    assert line["absent"] == "body" and line["body"] == ""


def test_csv_begins_a_file_when_columns_change(sink, files_of):
    table = Table()
    files = files_of(pipeline(table), file_name="{{table}}", format="csv",
                     flush_ms=1000)
    records = [table.create(row(1))]
    table.columns = {**table.columns, "more": TEXT}
    records.append(table.create({**row(2), "more": "x"}))
    sink.replay(records)
    sink.replay([table.create({**row(3), "more": "y"})])
    first, second = files.of("items", "csv")
    assert [line["id"] for line in rows(first)] == ["1"] and "more" not in first
    assert [line["more"] for line in rows(second)] == ["x", "y"]


@pytest.mark.parametrize("compression, ending", [("gzip", "jsonl.gz"), ("zstd", "jsonl.zst")])
def test_compressed_files_are_whole_after_each_write(sink, files_of, compression, ending):
    table = Table()
    files = files_of(pipeline(table), compression=compression, max_bytes=1024)
    for part in range(6):
        sink.replay([table.create(row(part * 30 + number)) for number in range(30)])
    texts = files.of("changes", ending)
    ids = [json.loads(line)["key"]["id"] for text in texts for line in text.splitlines()]
    assert ids == list(range(180)) and len(texts) > 1


def test_a_record_is_written_whole_or_not_at_all(sink, files_of, tmp_path):
    table = Table(columns={"id": INT, "d": DECIMAL})
    files = files_of(pipeline(table), file_name="{{table}}", format="csv")
    sink.replay([table.create({"id": 1, "d": "AQ=="}), table.create({"id": 2, "d": "no base64"}),
                 table.create({"id": 3, "d": "Ag=="})], dead_letter=tmp_path / "letters.jsonl")
    (text,) = files.of("items", "csv")
    assert [line["id"] for line in rows(text)] == ["1", "3"] and text.count("\n") == 3


def test_a_crash_leaves_nothing_in_any_of_the_files(sink, files_of):
    items, others = Table(), Table("others")
    files = files_of(pipeline("^src"), file_name="{{table}}", format="csv", compression="gzip")
    sink.replay([items.create(row(1)), others.create(row(1))])
    with open(files.path / "items-000000000001.csv.gz", "ab") as file:
        file.write(b"half a member")
    sink.replay([items.create(row(2)), others.create(row(2))])
    for name in ("items", "others"):
        (text,) = files.of(name, "csv.gz")
        assert [line["id"] for line in rows(text)] == ["1", "2"]


def test_killed_again_and_again(sink, files_of, kafka):
    """kill -9 at any moment, four tables in files of their own: each change stands there once."""
    tables = [Table(f"t{number}", prefix="forms") for number in range(4)]
    for table in tables:
        kafka.create(table.topic)
    files = files_of({**pipeline("^forms"), "lanes": 2}, kafka=True, file_name="{{table}}",
                     format="csv", compression="gzip", max_bytes=5000, flush_ms=5)
    daemon, total, kills = sink.daemon(), 400, 4
    for part in range(kills):
        first = part * total // kills
        kafka.produce([table.create(row(number), partition=number % 4)
                       for number in range(first, first + total // kills) for table in tables])
        daemon.await_that(lambda: (files.path / "state.json").exists() and
                          files.state().get("files", {}).get("t3"), what="some of it is written")
        daemon.kill()
        daemon = sink.daemon()

    def stored():
        positions = files.state()["positions"]
        return sum(place[0] for topic in positions.values() for place in topic.values())

    daemon.await_that(lambda: stored() == 4 * total, what="all of it is written")
    daemon.await_ready().stop()
    for table in tables:
        ids = [line["id"] for text in files.of(table.name, "csv.gz") for line in rows(text)]
        assert sorted(map(int, ids)) == list(range(total))


@pytest.mark.parametrize("settings, says", [
    ({"format": "csv"}, 'file_name = "{{table}}" gives each its own files'),
    ({"file_name": "{{topic}}"}, "not {{topic}}"),
    ({"file_name": "a/{{table}}"}, "no / in it"),
])
def test_wrong_settings_are_said(sink, files_of, settings, says):
    files_of(pipeline("t"), **settings)
    done = sink.check(expect=Exit.CONFIG)
    assert says in done.stderr and "ods-sink.conf:" in done.stderr


def test_other_settings_begin_other_files(sink, files_of):
    """What was committed under the settings before stays as it is, and the offsets go on."""
    table, number = Table("changes"), 0
    kept = {}
    for settings in ({}, {"compression": "gzip"}, {"file_name": "rows"}, {"file_name": "{{table}}"},
                     {"file_name": "{{table}}", "format": "csv"}, {}):
        files = files_of(pipeline(table), **settings)
        sink.replay([table.create(row(number))])
        number += 1
        for path in files.path.iterdir():
            if path.name != "state.json":
                assert kept.setdefault(path.name, path.read_bytes()) == path.read_bytes()
        assert len(kept) == number, (settings, sorted(kept))
    texts = [gzip.decompress(data) if name.endswith("gz") else data for name, data in kept.items()]
    assert sorted(int(text.split(b'"id":')[1][:1]) for text in texts if b'"id":' in text) == [
        0, 1, 2, 3, 5]


def test_a_text_that_is_not_utf_8_is_a_letter(sink, files_of, tmp_path):
    """A script that cuts in the middle of a character."""
    table = Table()
    script = tmp_path / "cut.lua"
    script.write_text("function change(c) c.after.name = c.after.name:sub(1, 2) return c end")
    files = files_of({**pipeline(table), "transforms": [{"script": str(script)}]},
                     file_name="{{table}}", format="csv")
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.create({**row(1), "name": "J\u00f6rg"}), table.create(row(2))],
                dead_letter=letters)
    assert [line["id"] for line in rows(files.of("items", "csv")[0])] == ["2"]
    assert "not UTF-8" in letters.read_text()
