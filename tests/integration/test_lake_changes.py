"""`ods-sink changes` and `versions`: what a table of Delta Lake says of its changes is what was sent, and
what delta-rs reads of it: under kills, compaction and changes of columns."""

import json
import random
import shutil
import subprocess
from collections import Counter

from lib.lake_changes import Sent, applied, same_as_sent
from lib.records import BIGINT, INT, TEXT, Table
from lib.sink import Exit
from test_delta_target import HARD, STEPS, lake, row, two_tables  # noqa: F401: a fixture


def place(lake, table="items"):
    return f"delta://{lake.path(table)}"


def changes(lake, *options, table="items"):
    done = lake.sink.run("changes", place(lake, table), "--format", "json", *options)
    return [json.loads(line) for line in done.stdout.splitlines()]


def versions(lake, *options, table="items"):
    done = lake.sink.run("versions", place(lake, table), "--json", *options)
    return [json.loads(line) for line in done.stdout.splitlines()]


def counted(rows, *columns):
    return Counter(tuple(str(found[name]) for name in columns) for found in rows)


def same_as_delta_rs(lake, found, table="items"):
    columns = ("_commit_version", "_change_type", "id", "name", "amount")
    assert counted(found, *columns) == counted(lake.changes(table), *columns)


def test_what_was_sent(lake):
    """A commit a record: one change each, with its version and offset, and a table for people."""
    table = Table()
    lake.write([table], HARD, batch={"max_events": 1})
    lake.replay([table.create(row(1)), table.create(row(2, name="é\n")), table.update(row(1), row(1, 5)),
                 table.delete(row(2))])
    found = changes(lake, "--from-version", "0")
    assert [(one["_change_type"], one["id"], one["amount"], one["_commit_version"],
             one["_commit_offsets"]) for one in found] == [
        (kind, id, amount, version, {f"{table.topic}:0": version}) for kind, id, amount, version in (
            ("insert", 1, 0, 1), ("insert", 2, 0, 2), ("update_preimage", 1, 0, 3),
            ("update_postimage", 1, 5, 3), ("delete", 2, 0, 4))]
    assert all(one["_commit_timestamp"].endswith("Z") for one in found)
    some = changes(lake, "--from-version", "2", "--to-version", "3", "--types", "insert,update_postimage")
    assert [(one["_change_type"], one["id"]) for one in some] == [("insert", 2), ("update_postimage", 1)]
    assert changes(lake, "--since", "1h") == found and changes(lake, "--from-version", "5") == []
    shown = lake.sink.run("changes", place(lake), "--from-version", "2", "--to-version", "2").stdout
    assert "version 2" in shown and "é\\n" in shown and f"{table.topic}:0 → 2" in shown
    listed = versions(lake)
    assert [(one["version"], one["operation"], one["rows"]) for one in listed[1:]] == [
        (1, "WRITE", {"inserted": 1, "updated": 0, "deleted": 0}),
        (2, "WRITE", {"inserted": 1, "updated": 0, "deleted": 0}),
        (3, "MERGE", {"inserted": 0, "updated": 1, "deleted": 0}),
        (4, "MERGE", {"inserted": 0, "updated": 0, "deleted": 1})]
    assert [one["version"] for one in versions(lake, "--limit", "2")] == [3, 4]
    assert "MERGE" in lake.sink.run("versions", place(lake)).stdout
    summary = json.loads(lake.sink.run("changes", place(lake), "--from-version", "1", "--summary", "--json").stdout)
    assert summary["rows"] == {"inserted": 2, "updated": 1, "deleted": 1}
    assert summary["commits"] == {"WRITE": 2, "MERGE": 2} and summary["offsets"] == {f"{table.topic}:0": 4}
    assert "rows in all    +1" in lake.sink.run("changes", place(lake), "--since", "1h", "--summary").stdout


def test_kills_compaction_and_columns(lake):
    """Killed at each step of a commit, compacted, and with a column added in the middle: the changes of each version
    are those that were sent, one by one, and those of delta-rs, lead to the rows, and are the same read in parts."""
    choose = random.Random(18)
    table = Table()
    sent = Sent(table)
    lake.write([table], {**HARD, "evolve": "full"}, batch={"max_events": 20},
               target={"maintenance": {"small_files": 4, "checkpoint_every": 5}})
    for turn, step in enumerate(STEPS):
        if turn == 2:
            table.columns = {**table.columns, "note": TEXT}
        for _ in range(60):
            number = choose.randrange(40)
            if number in sent.state and choose.random() < 0.3:
                sent.take(number)
                continue
            sent.put({**row(number, choose.randrange(1000)),
                      **({"note": "x"} if turn >= 2 and choose.random() < 0.5 else {})})
        records = sent.file()
        lake.replay(records, env={"ODS_LAKE_FAULT": f"kill:{step}:2"}, expect=-9)
        lake.replay(records)
    found = changes(lake, "--from-version", "0")
    same_as_sent(found, versions(lake, "--from-version", "0"), sent)
    same_as_delta_rs(lake, found)
    rows = applied(found)
    assert {number: {**one, "note": one.get("note")} for number, one in rows.items()} == {
        number: {"note": None, **one} for number, one in sent.state.items()}
    newest = versions(lake)[-1]["version"]
    middle = newest // 2
    assert changes(lake, "--from-version", "0", "--to-version", str(middle)) + changes(
        lake, "--from-version", str(middle + 1)) == found
    for one in versions(lake, "--from-version", "0"):
        kinds = Counter(change["_change_type"] for change in found if change["_commit_version"] == one["version"])
        assert one["rows"] == {"inserted": kinds["insert"], "updated": kinds["update_postimage"],
                               "deleted": kinds["delete"]}, one
    assert "OPTIMIZE" in {one["operation"] for one in versions(lake, "--from-version", "0")}


def test_only_new_files_are_read(lake):
    """The files of older versions are not touched: their content is gone. Neither is anything of a
    version whose log has expired left out in silence."""
    table = Table()
    lake.write([table], HARD, batch={"max_events": 1})
    lake.replay([table.create(row(number)) for number in range(3)])
    for file in lake.path().glob("*.parquet"):
        file.write_bytes(b"")
    lake.sink.run("changes", place(lake), "--from-version", "0", expect=Exit.TARGET)
    shutil.rmtree(lake.path() / "_change_data", ignore_errors=True)
    other = Table(name="others")
    lake.write([other], HARD, batch={"max_events": 1}, target={"maintenance": {"checkpoint_every": 2}})
    lake.replay([other.create(row(number)) for number in range(4)])
    first = {one["version"]: one for one in versions(lake, table="others")}
    assert len(changes(lake, "--from-version", "4", table="others")) == 1
    (lake.path("others") / "_delta_log" / f"{0:020}.json").unlink()
    (lake.path("others") / "_delta_log" / f"{1:020}.json").unlink()
    assert [one["version"] for one in versions(lake, table="others")] == sorted(first)[2:]
    for options in (("--from-version", "1"), ("--since", "1h"), ("--since", "1h", "--summary")):
        said = lake.sink.run("changes", place(lake, "others"), *options, expect=Exit.TARGET).stderr
        assert "expired" in said


def test_without_a_feed(lake):
    """Changes are found from the files: rows that went and rows that came."""
    table = Table(columns={"id": INT, "name": TEXT, "amount": BIGINT})
    lake.write([table], HARD, batch={"max_events": 5}, target={"change_data": False})
    lake.replay([table.create(row(number)) for number in range(10)] + [table.update(None, row(3, 7)),
                                                                       table.delete(row(4))])
    found = changes(lake, "--from-version", "0")
    assert not list(lake.path().glob("_change_data/*"))
    assert applied(found) == {number: row(number, 7 if number == 3 else 0) for number in range(10) if number != 4}


def test_follow(lake):
    """Changes come as they are committed; ^C ends it."""
    items, others, first, second, _ = two_tables()
    lake.write([items, others], HARD)
    lake.replay(first)
    program = subprocess.Popen([lake.sink.binary, "changes", place(lake), "--from-version", "2", "--follow", "--json"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        lake.replay(second)
        found = [json.loads(program.stdout.readline()) for _ in range(13)]
        program.send_signal(2)
        rest, said = program.communicate(timeout=20)
    finally:
        program.kill()
    assert rest == "" and program.returncode == 130, said
    assert Counter(one["_change_type"] for one in found) == {
        "update_preimage": 5, "update_postimage": 5, "delete": 3}
    assert {one["_commit_version"] for one in found} == {2}


def test_what_is_not_there(lake, tmp_path):
    lake.write([Table()], HARD)
    run = lake.sink.run
    none = run("changes", f"delta://{tmp_path}/none", "--from-version", "0", expect=Exit.TARGET).stderr
    assert "there is no table of Delta Lake" in none and not (tmp_path / "none").exists()
    for options in (["changes", "/x/y", "--follow"], ["changes", "delta:///x/y"], ["versions", "delta://"],
                    ["changes", "iceberg:///x/y", "--from-version", "1"],
                    ["changes", "delta:///x/y", "--from-version", "1", "--types", "inserts"],
                    ["versions", "-c", lake.sink.conf, "delta:///elsewhere/t"]):
        run(*options, expect=Exit.USAGE)
    lake.replay([Table().create(row(1))])
    assert "newest version" in run("changes", place(lake), "--from-version", "9", expect=Exit.TARGET).stderr
    assert "insert" in run("changes", "-c", lake.sink.conf, place(lake), "--from-version", "0").stdout
