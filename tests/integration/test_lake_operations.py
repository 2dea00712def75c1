"""`reset`, `reset --all` and `erase` of pipelines into a lake, and a topic that was made anew: what the tables
have then, as programs read it that others wrote."""

import json
import random

import pytest
from lib.lake import WHY_NOT, Missing, engine
from lib.records import INT, TEXT, Table, pipeline
from lib.sink import Exit, write_lines
from test_delta_target import Lake as Delta
from test_delta_target import HARD, row
from test_iceberg_target import Lake as Iceberg

KINDS = {"delta": Delta, "iceberg": Iceberg}
SECRET = "zq7 Somebody"


@pytest.fixture(params=KINDS)
def lake(request, sink, tmp_path):
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    return KINDS[request.param](sink, tmp_path / "lake", request.getfixturevalue("lake_reader"))


class File:
    """A pipeline into the lake whose records stand in a file, so that no Kafka is asked."""

    def __init__(self, lake, *tables, group=None, **defaults):
        self.lake, self.sink = lake, lake.sink
        self.path = lake.sink.folder / "in.jsonl"
        topics = [rf"^{tables[0].prefix}\.shop\..*"]
        settings = {"defaults": {**HARD, "mode": "both", **defaults}, "input": {
            "type": "file", "path": str(self.path)}}
        named = {**pipeline(tables[0], name=group or "items"), "topics": topics, **settings}
        self.sink.write(named, targets=[lake.target(maintenance={"enabled": False})], batch={"max_events": 3})

    def apply(self, records, **options):
        write_lines(self.path, records)
        return self.sink.run("replay", "-c", self.sink.conf, "--wait", 20, *options.pop("more", []), self.path,
                             **options)

    def reset(self, *arguments, expect=Exit.OK, env=None):
        done = self.sink.run("reset", "-c", self.sink.conf, "--json", *arguments, expect=expect, env=env)
        return json.loads(done.stdout) if done.stdout else done.stderr


def plain(lake):
    """The reader that is of the format's own makers."""
    return "deltalake" if lake.kind == "delta" else "pyiceberg"


def amounts(lake, table="items"):
    """By id, as one reader sees them, since a daemon may be writing."""
    try:
        seen = lake.ask(plain(lake), table, columns="id, amount")
    except Missing:
        return {}
    assert len({found["id"] for found in seen}) == len(seen), "a key is there twice"
    return {found["id"]: found["amount"] for found in seen}


def offsets(lake, table="items_cdc"):
    """Of the history, in order."""
    name = '"offset"' if lake.kind == "delta" else "offset"
    return sorted(found["offset"] for found in lake.ask(plain(lake), table, columns=name))


def versions(lake, table="items"):
    return lake.described(table)["version"]


# ---- reset ---------------------------------------------------------------------------------------

def test_records_that_come_again(lake):
    """Rows are written over, whatever the table has stored; its history has each record once."""
    table = Table()
    file = File(lake, table)
    records = [table.create(row(1, 1)), table.create(row(2, 1)), table.update(row(2, 1), row(2, 2)),
               table.create(row(3, 1)), table.delete(row(3, 1))]
    file.apply(records)
    assert amounts(lake) == {1: 1, 2: 2} and offsets(lake) == [0, 1, 2, 3, 4]
    again = Table()
    other = [again.create(row(1, 11)), again.create(row(2, 11)), again.update(row(2, 11), row(2, 12)),
             again.create(row(3, 11)), again.delete(row(3, 11))]
    file.apply(other)
    assert amounts(lake) == {1: 1, 2: 2}, "they are there"
    before = versions(lake)
    moved = file.reset("--topic", table.topic, "--to", "1")["partitions"]
    assert moved == [{"partition": 0, "old": 5, "new": 1}]
    assert versions(lake) == before, "the pipeline's own table has it"
    file.apply([*other, again.create(row(4, 11))])
    assert amounts(lake) == {1: 1, 2: 12, 4: 11}
    file.reset("--topic", table.topic, "--to", "earliest")
    file.apply([*other, again.create(row(4, 12)), again.create(row(5, 12))])
    assert amounts(lake) == {1: 11, 2: 12, 4: 12, 5: 12}
    assert offsets(lake) == list(range(8))
    said = json.loads(lake.sink.run("versions", f"{lake.kind}://{lake.path()}", "--json").stdout.splitlines()[-1])
    assert list(said["offsets"]) == [f"{table.topic}:0"], "moments are no offsets"


def test_forwards(lake):
    table = Table()
    file = File(lake, table)
    records = [table.create(row(number, 1)) for number in range(6)]
    file.apply(records[:2])
    write_lines(file.path, records)
    file.reset("--topic", table.topic, "--to", "4")
    file.apply(records)
    assert set(amounts(lake)) == {0, 1, 4, 5}


def test_a_place_that_another_record_has(lake):
    """Of a topic that was made anew: a record is a letter whose place in the history has an older one."""
    table = Table()
    file = File(lake, table)
    file.apply([table.create(row(1, 1)), table.create(row(2, 1))])
    anew = Table()
    anew._clock_ms = 4_000_000_000_000  # later than this test runs
    records = [anew.create(row(7, 7)), anew.create(row(8, 8)), anew.create(row(9, 9))]
    file.reset("--topic", table.topic, "--to", "earliest")
    letters = lake.sink.folder / "letters.jsonl"
    file.apply(records, more=["--dead-letter", letters], expect=None)
    assert len(letters.read_text().splitlines()) == 2 and "made anew" in letters.read_text()
    assert amounts(lake) == {1: 1, 2: 1, 9: 9} and offsets(lake) == [0, 1, 2]


def test_a_topic_made_anew_is_read_by_policy(lake, kafka, table):
    """It is shorter than what is stored: its records are rows, though the table has stored more."""
    count = 3
    lake.sink.write(pipeline(table, defaults=HARD), kafka=True, targets=[lake.target()])
    text = lake.sink.conf.read_text()
    lake.sink.conf.write_text(text.replace(
        "kafka = { ", 'kafka = { on_offset_gone = "earliest"; ', 1))
    kafka.produce([table.create(row(number)) for number in range(10)])
    daemon = lake.sink.daemon()
    daemon.await_that(lambda: len(amounts(lake)) == 10, 60, "rows")
    daemon.stop()
    kafka.delete(table.topic)
    kafka.create(table.topic, 1)
    table._offsets.clear()
    kafka.produce([table.create(row(100 + number)) for number in range(count)])
    daemon = lake.sink.daemon()
    wanted = {*range(10), *range(100, 100 + count)}
    daemon.await_that(lambda: set(amounts(lake)) == wanted, 60, lambda: amounts(lake))
    kafka.produce([table.create(row(200))])
    daemon.await_that(lambda: set(amounts(lake)) == {*wanted, 200}, 60, lambda: amounts(lake))
    daemon.stop()


def test_a_letter_has_what_its_record_had(lake, kafka, table, prefix):
    """Records are copied out of what was fetched, since they wait long for a commit: headers, a key, no key, no value."""
    letters, said = kafka.create(f"{prefix}-letters", 1), [("trace", b"one"), ("trace", b""), ("other", b"two")]
    lake.sink.write(pipeline(table, defaults=HARD), kafka=True, dead_letter={"topic": letters},
                    targets=[lake.target(commit_ms=200)])
    bad = {"topic": table.topic, "partition": 0, "payload": "not JSON"}
    kafka.produce([table.create(row(1)), {**bad, "key": "a key", "headers": [each for pair in said for each in pair]},
                   table.tombstone(row(7)), {**bad, "key": None}, table.create(row(2))])
    daemon = lake.sink.daemon()
    daemon.await_that(lambda: kafka.count(letters) == 2 and set(amounts(lake)) == {1, 2}, 60, lambda: amounts(lake))
    with_all, bare = kafka.read(letters)
    assert with_all.key() == b"a key" and bare.key() is None
    assert with_all.value() == bare.value() == b"not JSON"
    ours = ("ods.", "__connect.")
    assert [each for each in with_all.headers() if not each[0].startswith(ours)] == said
    assert not [each for each in bare.headers() if not each[0].startswith(ours)]
    daemon.stop()


# ---- reset --all ---------------------------------------------------------------------------------

def filled(lake):
    tables = [Table(), Table("others")]
    file = File(lake, *tables)
    records = [table.create(row(number, 1)) for number in range(7) for table in tables]
    file.apply(records)
    return file, records


def test_all_begins_anew(lake):
    file, records = filled(lake)
    plan = file.reset("--all", "--dry-run")
    assert plan["offsets"] == 2 and not plan["changed"]
    names = {f"shop.{name}{more}" for name in ("items", "others") for more in ("", "_cdc")}
    assert {table["table"]: table["what"] for table in plan["tables"]} == dict.fromkeys(names, "emptied")
    assert len(amounts(lake)) == 7
    said = lake.sink.run("reset", "-c", lake.sink.conf, "--all", "--dry-run").stdout
    assert "emptied; its older versions" in said
    before = versions(lake)
    assert file.reset("--all", "--yes")["changed"]
    assert amounts(lake) == {} == amounts(lake, "others") and offsets(lake) == []
    assert len(lake.ask(plain(lake), version=before)) == 7
    assert file.reset("--all", "--dry-run")["offsets"] == 0
    file.apply(records)
    assert len(amounts(lake)) == 7 == len(amounts(lake, "others"))
    assert sorted(offsets(lake)) == list(range(7))


def test_what_another_pipeline_writes_stays(lake):
    file, _ = filled(lake)
    more = Table(prefix="more")
    other = File(lake, more, group="other")
    other.apply([more.create(row(100, 1))])
    kept = {one["what"]: one["why"] for one in other.reset("--all", "--yes")["kept"]}
    assert "items writes it too" in kept["shop.items"]
    assert len(amounts(lake)) == 8


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_all_killed_between_its_commits(lake, nth):
    """It goes on, and a pipeline that is started before that loses nothing."""
    file, records = filled(lake)
    file.reset("--all", "--yes", env={"ODS_LAKE_FAULT": f"kill:commit:{nth}"}, expect=-9)
    if random.Random(f"{lake.kind} {nth}").random() < 0.5:
        file.apply(records)
        assert len(amounts(lake)) == 7 and sorted(offsets(lake)) == list(range(7))
    file.reset("--all", "--yes")
    assert amounts(lake) == {} and offsets(lake) == []
    file.apply(records)
    assert len(amounts(lake)) == 7 and sorted(offsets(lake)) == list(range(7))


# ---- erase ---------------------------------------------------------------------------------------

def holds(lake, table="items"):
    """Does a file of the newest version have the name in its bytes?"""
    return any(SECRET.encode() in open(path, "rb").read() for path in lake.ask("files", table))


def test_erase(lake, kafka, table, prefix):
    """One row goes from its table and its history, out of the files of the newest version, while the daemon
    runs; what was done is told without the key."""
    letters = kafka.create(f"{prefix}.letters", 1)
    lake.sink.write(pipeline(table, defaults={"mode": "both", "on_delete": "soft", "evolve": "none"}), kafka=True,
                    dead_letter={"topic": letters}, targets=[lake.target(
                        compression="none", maintenance={"enabled": False})])
    kafka.produce([table.create(row(number, 1, SECRET if number == 1 else None)) for number in range(5)])
    kafka.produce([table.update(row(1, 1, SECRET), row(1, 2, SECRET)), table.delete(row(1, 2, SECRET)),
                   table.update(row(2, 1), row(2, 2))])
    other = Table(prefix=prefix, columns={"id": INT, "name": TEXT, "amount": TEXT})
    kafka.produce([other.create({"id": 1, "name": SECRET, "amount": "no number"})])
    daemon = lake.sink.daemon()
    daemon.await_that(lambda: kafka.count(letters) == 1, 60, "a letter")
    daemon.await_that(lambda: amounts(lake).get(2) == 2, 60, "rows")
    # Of a batch's tables one is committed after the other.
    daemon.await_that(lambda: holds(lake) and holds(lake, "items_cdc"), 60, "the name in both")

    def erase(*options, name="shop.items", expect=Exit.OK):
        done = lake.sink.run("erase", "-c", lake.sink.conf, name, *options, expect=expect)
        assert SECRET not in done.stdout + done.stderr
        return done

    plan = json.loads(erase("--key", "id=1", "--dry-run", "--json").stdout)
    assert (plan["rows"], plan["history_rows"], plan["erased"]) == (1, 3, False)
    reasons = {one["what"]: one["why"] for one in plan["not_reached"]}
    assert "maintenance.enabled is false" in reasons["the target itself"]
    assert "column has to be named" in erase("--key", "1", expect=Exit.USAGE).stderr
    assert "schema.table" in erase("--key", "id=1", "--yes", name="nowhere.items", expect=Exit.TARGET).stderr
    assert "no column" in erase("--key", "nothing=1", "--yes", expect=Exit.TARGET).stderr
    assert holds(lake)
    told = json.loads(erase("--key", "id=1", "--yes", "--json").stdout)
    assert (told["rows"], told["history_rows"], told["letters"], told["erased"]) == (1, 3, 1, True)
    assert set(amounts(lake)) == {0, 2, 3, 4} and not holds(lake) and not holds(lake, "items_cdc")
    assert len(offsets(lake)) == 5
    notes = [json.loads(found["note"]) for found in lake.reader.ask(
        plain(lake), next(lake.folder.glob("_ods_sink/*")), columns="note")]
    assert [(note["erased"], note["rows"], note["history_rows"]) for note in notes] == [("items", 1, 3)]
    assert json.loads(erase("--key", "id=1", "--yes", "--json").stdout)["rows"] == 0
    if lake.kind == "delta":
        assert [change["id"] for change in lake.changes() if change["_change_type"] == "delete"] == [1]

    kafka.produce([table.update(row(2, 2), row(2, 3)), table.create(row(9, 9))])  # and the daemon goes on
    daemon.await_that(lambda: amounts(lake) == {0: 1, 2: 3, 3: 1, 4: 1, 9: 9}, 60, lambda: amounts(lake))
    daemon.stop()


def test_erase_waits_for_what_is_not_applied(lake, kafka, table):
    lake.sink.write(pipeline(table, defaults=HARD), kafka=True, targets=[lake.target()])
    kafka.produce([table.create(row(1))])
    daemon = lake.sink.daemon()
    daemon.await_that(lambda: amounts(lake) == {1: 0}, 60, "a row")
    daemon.stop()
    kafka.produce([table.update(row(1), row(1, 5))])
    refused = lake.sink.run("erase", "-c", lake.sink.conf, "shop.items", "--key", "id=1", "--yes", "--wait", "0",
                            expect=Exit.NEGATIVE)
    assert "1 records of the table's topics are not applied yet" in refused.stderr
    assert amounts(lake) == {1: 0}
    lake.sink.run("erase", "-c", lake.sink.conf, "shop.items", "--key", "id=1", "--yes", "--force")
    assert amounts(lake) == {}
