"""ods-sink erase --letters: the row's lines go from files of dead letters, which are whole at each moment."""

import json
import os
import stat
import subprocess

import pytest

from lib.records import pipeline
from lib.sink import Exit

LONG = "zq7 Somebody with more words than fit"


@pytest.fixture
def world(sink, database, kafka, table, prefix):
    database.execute("create table items (id int primary key, name varchar(20), amount int, cdc_operation text, "
                     "cdc_timestamp timestamptz)")

    def write(**settings):
        sink.write(pipeline(table, tables={"shop.items": {"redact": ["name"]}}), database=database, kafka=True,
                   dead_letter=settings.pop("dead_letter", {"topic": f"{prefix}.letters"}), **settings)

    kafka.create(f"{prefix}.letters", 1)
    write()
    kafka.produce([table.create({"id": number, "name": "short", "amount": 1}) for number in (1, 2)])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 2)
    daemon.stop()
    return write


def letters(sink, table, path):
    """A file with letters of rows 1, 2 and 1 again, and lines that are none."""
    records = [table.update({"id": number, "name": "short", "amount": 1}, {"id": number, "name": LONG, "amount": at})
               for number, at in ((1, 1), (2, 2), (1, 3))]
    for number, record in enumerate(records):
        record["offset"] = 100 + number
    path.unlink(missing_ok=True)
    sink.run("replay", "-c", sink.conf, "--dead-letter", path, sink.file_of(records), expect=None)
    assert len(path.read_text().splitlines()) == 3
    with path.open("a") as file:
        file.write('not a record\n{"topic": "other", "partition": 0, "offset": 1, "key": "1", "payload": "1"}\n')


def erase(sink, key, *options, expect=Exit.OK):
    done = sink.run("erase", "-c", sink.conf, "items", "--key", key, "--json", "--yes", "--force", *options,
                    expect=expect)
    return json.loads(done.stdout) if done.stdout else done.stderr


def test_lines_of_the_row_are_taken_out(sink, world, table, tmp_path):
    path, link = tmp_path / "letters.jsonl", tmp_path / "link.jsonl"
    letters(sink, table, path)
    path.chmod(0o640)
    link.symlink_to(path)
    before = path.read_text().splitlines()
    shown = erase(sink, "1", "--letters", link, "--dry-run")
    assert shown["files"] == [{"file": str(link), "letters": 2, "letters_encrypted": 0, "unreadable": 1}]
    assert path.read_text().splitlines() == before
    said = sink.run("erase", "-c", sink.conf, "items", "--key", "1", "--force", "--dry-run").stdout
    assert "--letters" in said and "replay --dead-letter" in said
    done = erase(sink, "1", "--letters", link)
    assert done["erased"] and done["files"][0]["letters"] == 2
    assert path.read_text().splitlines() == [before[1], *before[3:]] and link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [name for name in os.listdir(tmp_path) if name.startswith("letters.jsonl")] == ["letters.jsonl"]
    assert erase(sink, "1", "--letters", path)["files"][0]["letters"] == 0
    assert "no-such" in erase(sink, "1", "--letters", tmp_path / "no-such", expect=Exit.SOURCE)


def test_encrypted_letters_in_files(sink, world, table, tmp_path):
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    for command in (["genpkey", "-algorithm", "X25519", "-out", private],
                    ["pkey", "-in", private, "-pubout", "-out", public]):
        subprocess.run(["openssl", *command], check=True)
    path = tmp_path / "letters.jsonl"
    world(dead_letter={"topic": "unused-letters", "encrypt": {"public_key": str(public)}})
    letters(sink, table, path)
    assert LONG not in path.read_text()
    shown = erase(sink, "1", "--letters", path, "--dry-run")
    assert shown["files"][0]["letters_encrypted"] == 3 and shown["files"][0]["letters"] == 0
    assert any("no --private-key opens them" in entry["why"] for entry in shown["not_reached"])
    erase(sink, "1", "--letters", path, "--private-key", private)
    assert len(path.read_text().splitlines()) == 3
