"""The file source: recorded files that grow and are rotated, each record once, nothing passed over."""

import contextlib
import json
import os
import signal
import threading

import pytest
from lib.records import Table, pipeline, row
from lib.sink import Exit, free_port
from lib.waiting import wait_for


def text(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def ids(count, *, table, partitions=1, first=0):
    return [table.create(row(number), partition=number % partitions)
            for number in range(first, first + count)]


@pytest.fixture
def recorded(sink, tmp_path):
    """A pipeline that reads a file into a folder, or a database; see Setup."""
    return Setup(sink, tmp_path)


class Setup:
    def __init__(self, sink, folder):
        self.sink, self.folder = sink, folder
        self.path = folder / "recorded.jsonl"
        self.table = Table()
        self.state = folder / "out" / "test.items" / "state.json"

    def write(self, database=None, *, input=None, batch=None, http=None, format="debezium",
              targets=None, **settings):
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        if not database and not targets:
            targets = [{"name": "ods", "type": "file", "directory": str(out), "flush_ms": 10,
                        "flush_bytes": 0}]
        self.sink.write(
            {**pipeline(self.table), "defaults": {"key": ["id"], "on_delete": "hard",
                                                   "create_tables": True},
             "input": {"type": "file", "path": str(self.path), **(input or {})}, **settings},
            database=database, targets=targets, batch=batch or {},
            http={"listen": http or ""})

    def append(self, records, path=None):
        with open(path or self.path, "a", encoding="utf-8") as file:
            file.write(records if isinstance(records, str) else text(records))

    def rotate(self):
        self.path.rename(f"{self.path}.1")

    def committed(self, partition=0):
        if not self.state.exists():
            return 0
        positions = json.loads(self.state.read_text())["positions"].get(self.table.topic, {})
        return positions.get(str(partition), [0])[0]

    def changes(self):
        """All changes in the folder, which are committed: (partition, offset, id)."""
        found = []
        for path in sorted(self.state.parent.glob("changes-*.jsonl")):
            found += map(json.loads, path.read_text().splitlines())
        return [(line["partition"], line["offset"], line["after"]["id"]) for line in found]

    def ends(self, daemon, *said, code=Exit.SOURCE):
        """The daemon ends by itself, and says so."""
        daemon.ended = True
        assert daemon.process.wait(60) == code, daemon.tail()
        for words in said:
            assert words in daemon.log()

    def run_to(self, *goals):
        """A daemon until the partitions are committed so far."""
        daemon = self.sink.daemon()
        daemon.await_that(lambda: [self.committed(at) for at in range(len(goals))] == list(goals),
                          what=f"committed {goals}")
        daemon.stop()
        return daemon


def grow(setup, records, pieces, rotate_at=()):
    """Appends in pieces that end within lines, from a thread of its own."""
    whole = text(records).encode()
    step = len(whole) // pieces + 1

    def run():
        for piece in range(pieces):
            part = whole[piece * step:(piece + 1) * step]
            if piece in rotate_at:
                # The old file gets the rest of its line first, as of a writer that opens anew.
                cut = part.index(b"\n") + 1
                with open(setup.path, "ab") as file:
                    file.write(part[:cut])
                wait_for(lambda: not os.path.exists(f"{setup.path}.1") or piece != rotate_at[0], 5)
                setup.rotate()
                part = part[cut:]
            with open(setup.path, "ab") as file:
                file.write(part)
            threading.Event().wait(0.01)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_a_growing_file_each_record_once_though_killed(recorded):
    """Killed again and again while it grows, with lines that are there in part."""
    recorded.write(batch={"max_events": 40})
    records = ids(4000, table=recorded.table, partitions=3)
    other = Table("other")
    for number in range(0, 4000, 50):  # of a topic that is none of the pipeline's
        records.insert(number, other.create(row(number)))
    writer = grow(recorded, records, 200)
    for part in range(1, 4):
        daemon = recorded.sink.daemon()
        daemon.await_that(lambda: recorded.committed() >= 300 * part, what=f"part {part}")
        daemon.kill()
    writer.join()
    recorded.run_to(1334, 1333, 1333)
    got = recorded.changes()
    for partition in range(3):
        mine = [(offset, number) for at, offset, number in got if at == partition]
        assert mine == [(at, at * 3 + partition) for at in range(len(mine))]
    assert len(got) == 4000


def test_a_growing_file_into_postgres(recorded, database):
    """Killed, and its connections cut so that batches are to be read again; deletes would show a
    record that is applied twice or not at all."""
    recorded.write(database, batch={"max_events": 25, "per_lane": 4})
    table = recorded.table
    records = ids(1500, table=table, partitions=2)
    records += [table.delete(row(number), partition=number % 2) for number in range(0, 1500, 4)]
    writer = grow(recorded, records, 100)

    def applied():
        return sum(database.offsets().values()) if database.value(
            "select to_regclass('ods_sink.offsets') is not null") else 0

    for part in range(1, 4):
        daemon = recorded.sink.daemon()
        daemon.await_that(lambda: applied() >= 350 * part, what=f"part {part}")
        database.end_sessions()
        daemon.kill()
    writer.join()
    daemon = recorded.sink.daemon()
    daemon.await_that(lambda: applied() == 1875, what=lambda: f"all, not {applied()}")
    daemon.stop()
    assert database.value("select array_agg(id order by id) from items") == \
        [number for number in range(1500) if number % 4]


def test_what_is_dropped_is_read_again(recorded):
    """Another process moves the offsets of one partition (ods-sink replay of the same records): the
    batch is dropped, and its partition read again, the others not."""
    recorded.write(batch={"max_events": 10})
    records = ids(200, table=recorded.table, partitions=2)
    recorded.append(records[:100])
    daemon = recorded.sink.daemon()
    daemon.await_that(lambda: (recorded.committed(0), recorded.committed(1)) == (50, 50))
    recorded.sink.replay([record for record in records if record["partition"] == 0][:60])
    recorded.append(records[100:])
    daemon.await_that(lambda: (recorded.committed(0), recorded.committed(1)) == (100, 100))
    daemon.stop()

    assert sorted(recorded.changes()) == sorted(
        (record["partition"], record["offset"], at) for at, record in enumerate(records))


def test_a_file_that_comes_later_and_is_rotated(recorded):
    recorded.write()
    table = recorded.table
    daemon = recorded.sink.daemon()
    daemon.await_that(lambda: "there is no file" in daemon.log(), what="said so")
    recorded.append(ids(3, table=table))
    daemon.await_that(lambda: recorded.committed() == 3, what="three")
    recorded.rotate()
    # Its writer still has the old one open, and the new one is empty at first.
    recorded.path.touch()
    recorded.append(ids(2, table=table, first=3), f"{recorded.path}.1")
    daemon.await_that(lambda: recorded.committed() == 5, what="five, the last ones of the old file")
    recorded.append(ids(1, table=table, first=5))
    daemon.await_that(lambda: recorded.committed() == 6, what="six, of the new file")
    assert "goes on with the file that has this name now, after 5 lines" in daemon.log()
    # The last line of a file may lack its end.
    recorded.append(text(ids(1, table=table, first=6)).rstrip("\n"))
    recorded.rotate()
    recorded.append(ids(1, table=table, first=7))
    daemon.await_that(lambda: recorded.committed() == 8, what="eight")
    daemon.stop()
    assert recorded.changes() == [(0, at, at) for at in range(8)]


def test_a_rotation_that_was_missed_is_told(recorded):
    """The daemon stands still while the file is rotated twice."""
    recorded.write()
    recorded.append(ids(3, table=recorded.table))
    daemon = recorded.sink.daemon()
    daemon.await_that(lambda: recorded.committed() == 3, what="three")
    daemon.signal(signal.SIGSTOP)
    for first in (3, 4):
        recorded.rotate()
        recorded.append(ids(1, table=recorded.table, first=first))
    daemon.signal(signal.SIGCONT)
    recorded.ends(daemon, "next record to apply is 3, but the source has 4 to 5", "rotated")
    assert recorded.committed() == 3


def test_rotated_while_the_target_is_away(recorded, database):
    """What is renamed while nobody reads is not missed."""
    recorded.write(database, batch={"max_events": 2, "per_lane": 2})
    table = recorded.table
    database.execute("create table items (id int primary key, name text, amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    recorded.append(ids(2, table=table))
    daemon = recorded.sink.daemon()
    daemon.await_that(lambda: database.count("items") == 2, what="two rows")
    with database.connect() as other:
        cursor = other.cursor()
        cursor.execute("begin; lock table items in access exclusive mode")
        for turn in range(3):
            recorded.append(ids(20, table=table, first=2 + 20 * turn))
            files = os.listdir(f"/proc/{daemon.pid}/fd")
            recorded.path.rename(f"{recorded.path}.{turn}")
            recorded.path.touch()
            daemon.await_that(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) > len(files),
                              what="the next file opened")
        recorded.append(ids(20, table=table, first=62))
        cursor.execute("rollback")
    daemon.await_that(lambda: database.count("items") == 82, what="all rows")
    daemon.stop()
    assert database.value("select array_agg(id order by id) from items") == list(range(82))


def test_rotated_while_no_daemon_ran(recorded):
    table = recorded.table
    recorded.write()
    recorded.append(ids(5, table=table))
    recorded.run_to(5)
    recorded.append(ids(5, table=table, first=5))
    recorded.rotate()
    recorded.append(ids(5, table=table, first=10))
    # Nothing says where the records between are.
    recorded.ends(recorded.sink.daemon(), "next record to apply is 5", "has 10 to 11", "rotated")
    assert recorded.committed() == 5
    recorded.write(input={"rotated": f"{recorded.path}.1"})
    recorded.run_to(15)
    assert recorded.changes() == [(0, at, at) for at in range(15)]
    # Or it is applied by replay.
    recorded.append(ids(1, table=table, first=15))
    recorded.rotate()
    recorded.append(ids(1, table=table, first=16))
    recorded.write()
    recorded.sink.replay(f"{recorded.path}.1")
    recorded.run_to(17)
    assert recorded.changes() == [(0, at, at) for at in range(17)]


def test_records_before_the_offset_are_context(recorded, database):
    """A tombstone behind its delete, with a daemon's end in between, deletes nothing."""
    recorded.write(database, batch={"max_events": 1})
    table = recorded.table
    recorded.append([*ids(2, table=table), table.delete(row(0))])
    daemon = recorded.sink.daemon()
    daemon.await_that(lambda: database.exists("items") and
                      sum(database.offsets().values()) == 3, what="three records")
    daemon.stop()
    recorded.append([table.tombstone(row(0)), table.create(row(0))])
    daemon = recorded.sink.daemon()
    daemon.await_that(lambda: sum(database.offsets().values()) == 5, what="five records")
    daemon.stop()
    assert database.count("items") == 2


def lines_of(table, count):
    return text(ids(count, table=table))


@pytest.mark.parametrize("bad, said", [
    pytest.param("{not json\n", "line 4: not a record: ", id="no JSON"),
    pytest.param('{"topic": "src.shop.items", "partition": 0}\n', "no partition and offset",
                 id="no offset"),
    pytest.param("x" * 9000 + "\n", "line 4: is longer than input.max_line_bytes", id="too long"),
    pytest.param(text([Table().create(row(9))]), "line 4: topic src.shop.items partition 0: offset 0 "
                 "comes after 2", id="out of order"),
])
def test_a_bad_line_stops_the_lane_each_time(recorded, bad, said):
    recorded.write(input={"max_line_bytes": 8192})
    recorded.append(lines_of(recorded.table, 3) + bad + text(ids(1, table=recorded.table, first=3)))
    for _ in range(2):
        recorded.ends(recorded.sink.daemon(), f"{recorded.path} line 4", said)
        assert recorded.committed() <= 3


@pytest.mark.parametrize("longer", [False, True])
def test_a_file_that_was_cut_short_is_refused(recorded, longer):
    recorded.write()
    table = recorded.table
    recorded.append(ids(5, table=table))
    daemon = recorded.sink.daemon()
    daemon.await_that(lambda: recorded.committed() == 5, what="five")
    recorded.path.write_text(text(ids(20 if longer else 1, table=table, first=5)))
    recorded.ends(daemon, f"{recorded.path} line 5", "cut short or written anew", "renaming it")
    # What stands in it now follows on what is applied.
    recorded.run_to(25 if longer else 6)


@pytest.mark.parametrize("ts_ms, said", [
    (1_760_000_000_000, "next record to apply is 5, but the source has 0 to 3"),
    (4_000_000_000_000, "the topic was deleted and made anew")], ids=["shorter", "younger"])
def test_another_topic_of_the_same_name_is_refused(recorded, ts_ms, said):
    recorded.write()
    recorded.append(ids(5, table=recorded.table))
    recorded.run_to(5)
    again = ids(3 if "next" in said else 9, table=Table())
    recorded.path.write_text(text([{**record, "ts": ts_ms} for record in again]))
    recorded.ends(recorded.sink.daemon(), said)
    assert recorded.committed() == 5


def test_without_following(recorded):
    recorded.write(input={"follow": False})
    recorded.ends(recorded.sink.daemon(), "No such file", code=Exit.CONFIG)
    recorded.append(lines_of(recorded.table, 3).rstrip("\n"))
    recorded.run_to(3)


def test_a_pipe_is_read_and_refused_when_it_would_be_read_again(recorded):
    """Another writer moves the offsets into the midst of a batch of ten: it is dropped, and can't be
    had again. (At the end of all that was read the daemon would rightly go on.)"""
    os.mkfifo(recorded.path)
    recorded.write(batch={"max_events": 10})
    records = ids(200, table=recorded.table)
    daemon = recorded.sink.daemon()
    with open(recorded.path, "w", encoding="utf-8") as writer:
        writer.write(text(records[:100]))
        writer.flush()
        daemon.await_that(lambda: recorded.committed() == 100, what="a hundred")
        recorded.sink.replay(records[100:105])
        with contextlib.suppress(BrokenPipeError):  # it may end before it has read all
            writer.write(text(records[100:150]))
            writer.flush()
        recorded.ends(daemon, "what was read of a pipe is gone", "use a file")
    assert recorded.changes() == [(0, at, at) for at in range(105)]


def test_several_lanes_and_a_truncate(recorded, database):
    """One lane works. A truncate in one of several partitions is not applied."""
    port = free_port()
    recorded.write(database, lanes=3, http=f"127.0.0.1:{port}", on_error="stop")
    recorded.sink.http_port = port
    table = recorded.table
    document = recorded.sink.folder / "tables.yaml"
    document.write_text(document.read_text().replace("on_delete: hard",
                                                     "on_delete: hard\n    on_truncate: apply"))
    recorded.append(ids(10, table=table, partitions=2))
    daemon = recorded.sink.daemon().await_ready()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 10,
                      what="ten rows")
    recorded.append([table.truncate(partition=1)])
    recorded.ends(daemon, "a truncate in one of 2 partitions", code=Exit.NEGATIVE)
    assert database.count("items") == 10


def test_topics_by_pattern(recorded):
    recorded.write(topics=["^src\\.shop\\..*s$"])
    recorded.append([Table("orders").create(row(1)), Table("other").create(row(2)),
                     recorded.table.create(row(3))])
    recorded.run_to(1)
    assert sorted(number for _, _, number in recorded.changes()) == [1, 3]


@pytest.mark.parametrize("input, said", [
    ({"path": "relative.jsonl"}, "input.path"), ({"rotated": "records.1"}, "input.rotated")])
def test_settings_that_do_not_do(recorded, input, said):
    recorded.write(input=input)
    done = recorded.sink.run("run", "-c", recorded.sink.conf, expect=Exit.CONFIG)
    assert said in done.stdout + done.stderr


def test_check(recorded):
    recorded.write()
    (line,) = [line for line in recorded.sink.check().stdout.splitlines() if "# items to ods" in line]
    assert "exactly once" in line and "provided that its file is only appended to" in line
    assert "not there yet" in recorded.sink.check("--connect", expect=None).stdout
    recorded.append(lines_of(recorded.table, 1))
    assert "items: file: good" in recorded.sink.check("--connect", expect=None).stdout
