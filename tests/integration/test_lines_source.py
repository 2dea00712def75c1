"""The lines source: a sender that keeps its lines until their number is told, each line once."""

import json
import socket
import threading

import pytest
from lib.queue import connect
from lib.records import Table, pipeline, row
from lib.sink import Exit, free_port
from lib.waiting import wait_for


class Sender:
    """Connects again and again, sends from the line whose number it is told, and forgets what is
    settled: to be told a lower number afterwards would be a loss."""

    def __init__(self, address, lines):
        self.address = address
        self.lines = [line.encode() + b"\n" for line in lines]
        self.settled = 0
        self.told = []  # at the beginning of each connection
        self.fault = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def done(self):
        assert not self.fault, self.fault
        return self.settled == len(self.lines)

    def _run(self):
        while self.settled < len(self.lines) and not self.fault:
            try:
                with connect(self.address) as peer:
                    self._serve(peer)
            except OSError:  # it is gone, or not there yet
                threading.Event().wait(0.02)

    def _serve(self, peer):
        numbers = peer.makefile("rb")
        first = int(numbers.readline() or b"-1\n")
        if first < 0:
            return
        self._settle(first)
        self.told.append(first)
        threading.Thread(target=self._send, args=(peer, first), daemon=True).start()
        while self.settled < len(self.lines) and (number := numbers.readline()):
            self._settle(int(number))

    def _send(self, peer, first):
        try:
            for at in range(first, len(self.lines), 100):
                peer.sendall(b"".join(self.lines[at:at + 100]))
        except OSError:
            pass  # what was not settled is sent again

    def _settle(self, number):
        if number < self.settled:
            self.fault = f"told {number} after {self.settled}"
        self.settled = number


def values(records):
    return [record["payload"] for record in records]


@pytest.fixture
def lines(sink, tmp_path):
    """Configure a pipeline of lines into a folder; see Setup."""
    return Setup(sink, tmp_path)


class Setup:
    def __init__(self, sink, folder):
        self.sink, self.folder = sink, folder
        self.socket = str(folder / "lines.sock")

    def write(self, *, listen=None, database=None, input=None, batch=None, **settings):
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        targets = None if database else [{"name": "ods", "type": "file", "directory": str(out),
                                          "flush_ms": 10, "flush_bytes": 0}]
        table = settings.pop("table", Table())
        self.sink.write(
            {**pipeline(table), "defaults": {"key": ["id"], "on_delete": "hard"},
             "input": {"type": "lines", "listen": listen or self.socket, **(input or {})}, **settings},
            database=database, targets=targets, batch=batch or {})
        self.state = out / "test.items" / "state.json"
        return table

    def committed(self):
        """How many lines the file target has."""
        if not self.state.exists():
            return 0
        positions = json.loads(self.state.read_text())["positions"]
        return positions.get("src.shop.items", {}).get("0", [0])[0]

    def changes(self):
        """All changes in the folder, which are committed."""
        found = []
        for path in sorted(self.state.parent.glob("changes-*.jsonl")):
            found += map(json.loads, path.read_text().splitlines())
        return found


def test_each_line_once_though_killed_and_cut(lines):
    """Killed in the middle again and again, with a sender that sends again what was not settled."""
    table = lines.write(batch={"max_events": 40})
    records = [table.create(row(number)) for number in range(6000)]
    sender = Sender(lines.socket, values(records))
    for part in range(1, 5):
        daemon = lines.sink.daemon()
        daemon.await_that(lambda: lines.committed() >= 1200 * part, what=f"part {part}")
        daemon.kill()
    daemon = lines.sink.daemon()
    daemon.await_that(sender.done, what=lambda: f"all of them settled, not {sender.settled}")
    daemon.stop()
    assert len(sender.told) >= 5 and 0 < sender.told[1] < 6000
    assert [line["offset"] for line in lines.changes()] == list(range(6000))
    assert [line["after"]["id"] for line in lines.changes()] == list(range(6000))


def test_each_line_once_in_postgres(lines, database):
    """Counting by what an update adds would show one that was applied twice or not at all."""
    table = lines.write(database=database, batch={"max_events": 25})
    records = [table.create(row(number)) for number in range(1500)]
    records += [table.delete(row(number)) for number in range(0, 1500, 2)]
    sender = Sender(lines.socket, values(records))
    for part in range(1, 4):
        daemon = lines.sink.daemon()
        daemon.await_that(lambda: sum(database.offsets().values()) >= 400 * part
                          if database.value("select to_regclass('ods_sink.offsets') is not null")
                          else False, what=f"part {part}")
        daemon.kill()
    daemon = lines.sink.daemon()
    daemon.await_that(sender.done, what=lambda: f"all of them settled, not {sender.settled}")
    daemon.stop()
    assert sum(database.offsets().values()) == 2250
    assert database.value("select array_agg(id order by id) from items") == list(range(1, 1500, 2))


def test_a_sender_is_told_what_is_committed(lines):
    table = lines.write()
    daemon = lines.sink.daemon()
    payloads = values([table.create(row(number)) for number in range(4)])
    wait_for(lambda: daemon.running() and lines.folder.joinpath("lines.sock").exists(), 30)
    with connect(lines.socket, patience_s=20) as peer:
        numbers = peer.makefile("rb")
        assert numbers.readline() == b"0\n"
        peer.sendall(f"{payloads[0]}\n{payloads[1]}\n{payloads[2][:20]}".encode())
        told = 0
        while told < 2:
            told = int(numbers.readline())
        assert (told, lines.committed()) == (2, 2)
    # What was cut off is no line, and is sent again.
    with connect(lines.socket, patience_s=20) as peer:
        numbers = peer.makefile("rb")
        assert numbers.readline() == b"2\n"
        peer.sendall(f"{payloads[2]}\n".encode())
        assert numbers.readline() == b"3\n"
        # Another sender waits until this one is gone.
        with connect(lines.socket, patience_s=20) as other:
            peer.shutdown(socket.SHUT_RDWR)
            assert other.makefile("rb").readline() == b"3\n"
    daemon.stop()
    daemon = lines.sink.daemon()
    sender = Sender(lines.socket, payloads)
    daemon.await_that(sender.done, what="the last one")
    daemon.stop()
    assert sender.told == [3]
    assert [line["offset"] for line in lines.changes()] == [0, 1, 2, 3]


def test_keyed_lines_and_tombstones(lines, database):
    """A key stands before a tab; a line without value deletes the row of its key."""
    port = free_port()
    table = lines.write(listen=f"127.0.0.1:{port}", database=database, input={"keyed": True})
    records = [table.create(row(number)) for number in range(5)]
    texts = [f"{record['key']}\t{record['payload']}" for record in records]
    texts += [f"{records[2]['key']}\t", f"{records[4]['key']}\t"]
    sender = Sender(("127.0.0.1", port), texts)
    daemon = lines.sink.daemon()
    daemon.await_that(sender.done, what="all of them settled")
    daemon.stop()
    assert database.value("select array_agg(id order by id) from items") == [0, 1, 3]


@pytest.mark.parametrize("bad, said", [
    pytest.param("{not json", "offset 1", id="no JSON"), pytest.param("", "offset 1", id="empty"),
    pytest.param("x" * 9000, "line 1 is longer", id="too long")])
def test_a_bad_line_is_never_passed_over(lines, bad, said):
    """Without dead letters it stops the lane, with its number."""
    table = lines.write(input={"max_line_bytes": 8192})
    daemon = lines.sink.daemon()
    Sender(lines.socket, [values([table.create(row(0))])[0], bad])
    assert daemon.process.wait(60) in (Exit.NEGATIVE, Exit.SOURCE)
    assert said in daemon.log()
    daemon.ended = True
    assert lines.committed() <= 1


@pytest.mark.parametrize("settings, said", [
    ({"listen": "0.0.0.0:9000"}, "neither 127.0.0.1:port"),
    ({"listen": "127.0.0.1:0"}, "neither 127.0.0.1:port"),
    ({"listen": "relative.sock"}, "neither 127.0.0.1:port"),
    ({"topics": ["^src.*"]}, "topics is one name"),
    ({"topics": ["a", "b"]}, "topics is one name")])
def test_settings_that_do_not_do(lines, settings, said):
    lines.write(**settings)
    done = lines.sink.run("run", "-c", lines.sink.conf, expect=Exit.CONFIG)
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize("input, said", [
    ({"type": "lynes"}, "lynes"), ({"listen": 1, "port": 2}, "port"), ({"max_line_bytes": 3}, "1024")])
def test_settings_are_checked(lines, input, said):
    lines.write(input=input)
    done = lines.sink.check(expect=Exit.CONFIG)
    assert said in done.stdout + done.stderr


def test_check_says_what_is_guaranteed(lines):
    lines.write()
    (line,) = [line for line in lines.sink.check().stdout.splitlines() if "# items to ods" in line]
    assert "exactly once" in line and "provided that its sender goes on" in line
    assert "input.listen" in lines.sink.check().stdout


def test_an_address_in_use_is_told(lines):
    lines.write()
    daemon = lines.sink.daemon()
    wait_for(lambda: daemon.running() and lines.folder.joinpath("lines.sock").exists(), 30)
    done = lines.sink.run("run", "-c", lines.sink.conf, expect=Exit.CONFIG)
    assert "can't listen" in done.stdout + done.stderr
    daemon.stop()
