"""`ods-sink changes` and `versions` of tables of Iceberg: each snapshot's changes are those that were sent, one
by one, and lead to the rows that PyIceberg reads of that snapshot: under kills, compaction, changes of columns
and commits of others. As a stream of Arrow they are the same, of both formats."""

import json
import random
import subprocess
from collections import Counter
from datetime import datetime, timezone

import pytest
from lib.lake_changes import Sent, applied, same_as_sent
from lib.records import BIGINT, INT, TEXT, Table
from lib.sink import Exit
from lib.terminal import Terminal

from test_delta_target import HARD, STEPS, row, two_tables
from test_delta_target import Lake as DeltaLake
from test_iceberg_target import lake  # noqa: F401: a fixture

STILL = {"maintenance": {"enabled": False}}


def place(lake, table="items"):
    return f"{lake.kind}://{lake.path(table)}"


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def changes(lake, *options, table="items"):
    return lines(lake.sink.run("changes", place(lake, table), "--format", "json", *options).stdout)


def versions(lake, *options, table="items"):
    return lines(lake.sink.run("versions", place(lake, table), "--json", *options).stdout)


def test_what_was_sent(lake):
    """A commit a record: one change each, with its version, snapshot and offset, and a table for people."""
    table = Table()
    lake.write([table], HARD, batch={"max_events": 1}, target=STILL)
    lake.replay([table.create(row(1)), table.create(row(2, name="é\n")), table.update(row(1), row(1, 5)),
                 table.delete(row(2))])
    listed = versions(lake)
    assert [(one["version"], one["operation"], one["rows"], one["offsets"]) for one in listed] == [
        (version, operation, {"inserted": inserted, "updated": updated, "deleted": deleted},
         {f"{table.topic}:0": version}) for version, operation, inserted, updated, deleted in (
            (1, "append", 1, 0, 0), (2, "append", 1, 0, 0), (3, "overwrite", 0, 1, 0), (4, "delete", 0, 0, 1))]
    assert [one["snapshot"] for one in listed] == lake.ask("iceberg_snapshots")
    assert all(one["bytes_added"] > 0 and one["engine"].startswith("ods-sink/") for one in listed)
    found = changes(lake, "--from-version", "1")
    ids = {one["version"]: one["snapshot"] for one in listed}
    assert [(one["_change_type"], one["id"], one["amount"], one["_commit_version"], one["_commit_snapshot"],
             one["_commit_offsets"]) for one in found] == [
        (kind, id, amount, version, ids[version], {f"{table.topic}:0": version}) for kind, id, amount, version in (
            ("insert", 1, 0, 1), ("insert", 2, 0, 2), ("update_preimage", 1, 0, 3),
            ("update_postimage", 1, 5, 3), ("delete", 2, 0, 4))]
    assert all(one["_commit_timestamp"].endswith("Z") for one in found)
    two = ("--from-snapshot", ids[2], "--to-snapshot", ids[3])
    assert changes(lake, *two) == changes(lake, "--from-version", "2", "--to-version", "3") == found[1:4]
    some = changes(lake, *two, "--types", "insert,update_postimage")
    assert [(one["_change_type"], one["id"]) for one in some] == [("insert", 2), ("update_postimage", 1)]
    assert changes(lake, "--since", "1h") == found and changes(lake, "--from-version", "5") == []
    shown = lake.sink.run("changes", place(lake), "--from-version", "2", "--to-version", "2").stdout
    assert f"version 2  snapshot {ids[2]}" in shown and "é\\n" in shown and f"{table.topic}:0 → 2" in shown
    named = [lake.sink.run("changes", "-c", lake.sink.conf, where, "--from-version", "0", "--json").stdout
             for where in (place(lake), "iceberg://shop.items")]
    assert [lines(text) for text in named] == [found, found]
    assert [one["version"] for one in versions(lake, "--limit", "2")] == [3, 4]
    assert str(ids[4]) in lake.sink.run("versions", place(lake)).stdout
    summary = json.loads(lake.sink.run("changes", place(lake), "--since", "1h", "--summary", "--json").stdout)
    assert summary["rows"] == {"inserted": 2, "updated": 1, "deleted": 1}
    assert summary["commits"] == {"append": 2, "overwrite": 1, "delete": 1}
    assert "rows in all    +1" in lake.sink.run("changes", place(lake), "--since", "1h", "--summary").stdout


def test_kills_compaction_and_columns(lake):
    """Killed at each step of a commit, compacted, and with a column added in the middle."""
    choose = random.Random(18)
    table = Table()
    sent = Sent(table)
    lake.write([table], {**HARD, "evolve": "full"}, batch={"max_events": 20},
               target={"maintenance": {"small_files": 4, "checkpoint_every": 5}})
    for turn, step in enumerate((*(step for step in STEPS if step != "changes"), "compact")):
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
    found, listed = changes(lake, "--from-version", "0"), versions(lake, "--from-version", "0")
    same_as_sent(found, listed, sent)
    assert "replace" in {one["operation"] for one in listed}, "it was compacted"
    middle = listed[len(listed) // 2]
    assert changes(lake, "--from-version", "0", "--to-snapshot", middle["snapshot"]) + changes(
        lake, "--from-version", str(middle["version"] + 1)) == found
    for one in listed[::7] + listed[-1:]:
        rows = applied(change for change in found if change["_commit_version"] <= one["version"])
        seen = {read["id"]: read for read in lake.ask("pyiceberg", columns="*", version=one["version"])}
        columns = ("id", "name", "amount")
        assert {number: [read[name] for name in columns] for number, read in seen.items()} == {
            number: [read[name] for name in columns] for number, read in rows.items()}, one


def test_only_new_files_are_read(lake):
    """Files that only older snapshots added, manifests among them, have no content any more."""
    table = Table()
    lake.write([table], HARD, batch={"max_events": 1}, target=STILL)
    lake.replay([table.create(row(number)) for number in range(3)])
    lake.replay([table.update(row(1), row(1, 7))])
    files = set(lake.path().glob("data/*")) | set(lake.path().glob("metadata/*.avro"))
    lake.replay([table.create(row(8)), table.create(row(9))])
    for file in files:
        file.write_bytes(b"")
    found = changes(lake, "--from-version", "5")
    assert [(one["_change_type"], one["id"], one["_commit_version"]) for one in found] == [
        ("insert", 8, 5), ("insert", 9, 6)]
    assert len(versions(lake)) == 6, "the metadata alone"
    lake.sink.run("changes", place(lake), "--from-version", "1", expect=Exit.TARGET)


def test_expired(lake):
    """Versions that are gone are told, and never left out."""
    table = Table()
    lake.write([table], HARD, batch={"max_events": 1}, target={
        "maintenance": {"small_files": 3, "checkpoint_every": 2, "snapshots": 2, "keep_for": "0s"}})
    lake.replay([table.create(row(number)) for number in range(8)])
    left = versions(lake)
    assert left[0]["version"] > 1
    for options in (("--from-version", "1"), ("--since", "1h"), ("--since", "1h", "--summary")):
        said = lake.sink.run("changes", place(lake), *options, expect=Exit.TARGET).stderr
        assert "expired" in said
    changes(lake, "--from-version", str(left[-1]["version"]))
    said = lake.sink.run("changes", place(lake), "--from-snapshot", "77", expect=Exit.TARGET).stderr
    assert "snapshot 77" in said
    assert "newest version" in lake.sink.run("changes", place(lake), "--from-version", "999",
                                             expect=Exit.TARGET).stderr


def test_commits_of_others(lake):
    """PyIceberg appends rows, and writes files again without some rows: only what changed is told."""
    table = Table(columns={"id": INT, "amount": BIGINT})
    lake.write([table], HARD)
    lake.replay([table.create({"id": number, "amount": number}) for number in range(1, 5)])
    lake.replay([table.update(None, {"id": 2, "amount": 20})])
    lake.ask("iceberg_append", rows=[{"id": 7, "amount": 70}])
    lake.ask("iceberg_overwrite", rows=[{"id": 3, "amount": 33}], where="id = 3 or id = 4")
    found = changes(lake, "--from-version", "3")
    assert Counter((one["_change_type"], one["id"], one["amount"]) for one in found) == Counter(
        [("insert", 7, 70), ("delete", 4, 4)] + CHANGED), found
    rows = {read["id"]: read["amount"] for read in lake.ask("pyiceberg", columns="id, amount")}
    assert {number: one["amount"] for number, one in applied(changes(lake, "--from-version", "0")).items()} == rows


# PyIceberg makes two snapshots of it: rows that go, and rows that come.
CHANGED = [("delete", 3, 3), ("insert", 3, 33)]


def test_truncate_and_history(lake):
    table = Table()
    lake.write([table], {**HARD, "on_truncate": "apply", "mode": "both"})
    lake.replay([table.create(row(1)), table.create(row(2))])
    lake.replay([table.update(row(1), row(1, 5))])
    lake.replay([table.truncate(), table.create(row(2, 4))])
    found = changes(lake, "--from-version", "3")
    assert Counter((one["_change_type"], one["id"], one["amount"]) for one in found) == Counter(
        [("delete", 1, 5), ("update_preimage", 2, 0), ("update_postimage", 2, 4)])
    assert versions(lake)[-1]["rows"] == {"inserted": 0, "updated": 1, "deleted": 1}
    told = changes(lake, "--from-version", "1", table="items_cdc")
    assert {one["_change_type"] for one in told} == {"insert"} and len(told) == 5
    assert [one["op"] for one in told] == ["c", "c", "u", "t", "c"]


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


@pytest.mark.parametrize("kind", ("delta", "iceberg"))
def test_live_within_a_second(lake, kind, tmp_path):
    """From a commit's own time until its change is printed: of seven commits the fourth slowest."""
    lake = lake if kind == "iceberg" else DeltaLake(lake.sink, tmp_path / "delta", lake.reader)
    table, waits = Table(), []
    lake.write([table], HARD, target=STILL)
    lake.replay([table.create(row(0))])
    command = [lake.sink.binary, "changes", place(lake), "--from-version", "2", "--follow", "--json"]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for number in range(1, 8):
            lake.replay([table.create(row(number))])
            change = json.loads(program.stdout.readline())
            committed = datetime.fromisoformat(change["_commit_timestamp"].replace("Z", "+00:00"))
            waits.append((datetime.now(timezone.utc) - committed).total_seconds())
            assert change["id"] == number and change["_commit_version"] == number + 1
    finally:
        program.kill()
        program.communicate()
    assert 0 < sorted(waits)[3] < 1, waits


def test_catalog_in_postgres(lake, database, stack):
    """The catalog in the user's PostgreSQL, which the configuration names."""
    table = Table()
    lake.write([table], HARD, target={"catalog": {
        "uri": f"postgresql://ods:${{ODS_STACK_POSTGRES_PASSWORD}}@127.0.0.1:{stack['POSTGRES_PORT']}/{database.name}"}})
    lake.replay([table.create(row(1))])
    lake.replay([table.update(row(1), row(1, 5))])
    for where in (place(lake), "iceberg://shop.items"):
        found = lines(lake.sink.run("changes", "-c", lake.sink.conf, where, "--from-version", "2", "--json").stdout)
        assert [(one["_change_type"], one["amount"]) for one in found] == [
            ("update_preimage", 0), ("update_postimage", 5)]
    assert "catalog.sqlite" in lake.sink.run("versions", place(lake), expect=Exit.USAGE).stderr


def test_what_is_not_there(lake, tmp_path):
    table = Table()
    lake.write([table], HARD)
    lake.replay([table.create(row(1))])
    run = lake.sink.run
    none = run("changes", f"iceberg://{lake.folder}/shop/none", "--from-version", "0", expect=Exit.TARGET).stderr
    assert "has no table shop/none" in none
    for options in (["versions", f"iceberg://{tmp_path}/x/y"], ["versions", "iceberg://"],
                    ["changes", "iceberg://shop.items", "--follow"],
                    ["changes", "-c", lake.sink.conf, f"iceberg://{tmp_path}/x/y", "--follow"],
                    ["changes", place(lake), "--from-version", "1", "--from-snapshot", "1"],
                    ["changes", "delta:///x/y", "--from-snapshot", "1"]):
        run(*options, expect=Exit.USAGE)


# ---- as a stream of Arrow ------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ("delta", "iceberg"))
def test_arrow(lake, kind, tmp_path):
    """What pyarrow reads is what the lines of JSON say."""
    if kind == "delta":
        lake = DeltaLake(lake.sink, tmp_path / "delta", lake.reader)
    table = Table()
    lake.write([table], HARD, batch={"max_events": 4})
    lake.replay([table.create(row(number)) for number in range(10)] +
                [table.update(row(3), row(3, 7)), table.delete(row(4))])
    for number, options in enumerate([("--from-version", "1"), ("--from-version", "1", "--types", "insert"),
                                      ("--from-version", "9999999")]):
        options = ("--from-version", str(versions(lake)[-1]["version"] + 1)) if number == 2 else options
        file = tmp_path / f"changes-{number}.arrows"
        with file.open("wb") as out:
            subprocess.run([lake.sink.binary, "changes", place(lake), *options, "--format", "arrow"],
                           stdout=out, check=True)
        read = lake.reader.ask("arrow", file)
        told = changes(lake, *options)
        assert [{**one, "_commit_offsets": dict(one["_commit_offsets"])} for one in read["rows"]] == [
            {**one, "_commit_timestamp": read["rows"][at]["_commit_timestamp"]} for at, one in enumerate(told)]
        assert read["types"]["id"] == "int32" and read["types"]["_commit_timestamp"] == "timestamp[us, tz=UTC]"
    shown = Terminal([lake.sink.binary, "changes", place(lake), "--from-version", "1", "--format", "arrow"])
    shown.read()
    assert shown.process.wait(10) == Exit.USAGE and "--format arrow is binary" in shown.text


def test_arrow_follows(lake):
    """One stream over several commits, which ends well with ^C, and with a word where columns are added."""
    table = Table()
    lake.write([table], {**HARD, "evolve": "full"}, target=STILL)
    lake.replay([table.create(row(1))])
    command = [lake.sink.binary, "changes", place(lake), "--from-version", "1", "--follow", "--format", "arrow"]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        lake.replay([table.update(row(1), row(1, 2))])
        begun = program.stdout.read1(1 << 20)
        while begun.count(b"update_postimage") == 0:
            more = program.stdout.read1(1 << 20)
            assert more, program.stderr.read()
            begun += more
        table.columns = {**table.columns, "note": TEXT}
        lake.replay([table.create({**row(2), "note": "x"})])
        rest, said = program.communicate(timeout=60)
    finally:
        program.kill()
    assert program.returncode == Exit.TARGET and b"begin another from version 3 on" in said
    assert lake.reader.ask("arrow_bytes", "", text=(begun + rest).hex()) == [1, 1, 1]
