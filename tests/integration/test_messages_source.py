"""The messages source and deliveries that come again: what is applied is known by its identity."""

import hashlib
import json
import os
import signal
import threading

import psycopg2
import pytest
from conftest import ROOT
from lib.queue import Queue, connect
from lib.records import Table, pipeline, row
from lib.sink import Exit, free_port
from lib.waiting import wait_for


@pytest.fixture
def letters(kafka, prefix):
    kafka.create(f"{prefix}-letters", 1)
    return f"{prefix}-letters"


def messages(records, prefix="m"):
    return [(f"{prefix}{number}", record["payload"]) for number, record in enumerate(records)]


@pytest.fixture
def queue(sink, tmp_path):
    """Configure a pipeline of messages; see Setup."""
    return Setup(sink, tmp_path)


class Setup:
    def __init__(self, sink, folder):
        self.sink, self.folder = sink, folder
        self.socket = str(folder / "messages.sock")

    def write(self, *, database=None, table=None, target=None, input=None, batch=None, defaults=None,
              conf=None, **settings):
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        ods = ({"name": "ods", "type": "postgres", "dsn": database.dsn} if database else
               {"name": "ods", "type": "file", "directory": str(out), "flush_ms": 10, "flush_bytes": 0})
        table = table or Table()
        self.sink.write(
            {**pipeline(table), "defaults": {"key": ["id"], "on_delete": "hard", **(defaults or {})},
             "input": {"type": "messages", "listen": self.socket, **(input or {})}, **settings},
            targets=[{**ods, **(target or {})}], batch=batch or {}, **(conf or {}))
        return table

    def changes(self):
        """All changes in the folder of a file target, which are committed."""
        folder = self.folder / "out" / "test.items"
        state = json.loads((folder / "state.json").read_text())
        found = []
        for path in sorted(folder.glob("changes-*.jsonl")):
            bytes_ = path.read_bytes()
            if int(path.stem.rpartition("-")[2]) == state["file"]:
                bytes_ = bytes_[:state["length"]]
            found += map(json.loads, bytes_.decode().splitlines())
        return found


@pytest.mark.parametrize("prefix", ["m", "m-"])  # by keys, and by numbers
def test_each_message_once_though_killed_and_redelivered(queue, database, prefix):
    """A table without a key shows what is written twice. The queue holds each message twice, sends all
    that is unsettled after each end, in any order, and cuts its connections."""
    table = queue.write(database=database, table=Table(key=()), batch={"max_events": 40},
                        defaults={"key": []})
    count = 1500
    sender = Queue(queue.socket, messages([table.create(row(number)) for number in range(count)], prefix),
                   shuffled=True, twice=True, cut=700)
    for part in range(1, 5):
        daemon = queue.sink.daemon()
        daemon.await_that(lambda: database.count("items") >= count * part // 6, what=f"part {part}")
        daemon.kill()
    daemon = queue.sink.daemon()
    daemon.await_that(sender.done, what=lambda: f"all of them settled, not {len(sender.left)}")
    daemon.stop()
    assert sender.connections >= 5
    assert database.value("select array_agg(id order by id) from items") == list(range(count))
    assert database.delivered() == count
    assert database.offsets() == {}


def test_each_message_once_in_files(queue):
    table = queue.write(batch={"max_events": 40})
    count = 1500
    sender = Queue(queue.socket, messages([table.create(row(number)) for number in range(count)]),
                   shuffled=True, twice=True, cut=700, seed=2)
    state = queue.folder / "out" / "test.items" / "state.json"
    for part in range(1, 4):
        daemon = queue.sink.daemon()
        daemon.await_that(lambda: state.exists() and len(queue.changes()) >= count * part // 6,
                          what=f"part {part}")
        daemon.kill()
    daemon = queue.sink.daemon()
    daemon.await_that(sender.done, what=lambda: f"all of them settled, not {len(sender.left)}")
    daemon.stop()
    assert sorted(line["after"]["id"] for line in queue.changes()) == list(range(count))
    assert {line["identity"] for line in queue.changes()} == {f"m{number}" for number in range(count)}


@pytest.mark.parametrize("target, prefix", [("postgres", "m"), ("postgres", "m-"), ("file", "m")])
def test_two_daemons_that_are_sent_the_same(queue, database, target, prefix, tmp_path):
    """As a frozen process and its successor: both take the same messages at the same time, while the
    oldest identities are let go again and again."""
    count = 1200
    table = Table(key=())
    options = {"table": table, "batch": {"max_events": 30}, "defaults": {"key": []},
               "database": database if target == "postgres" else None,
               "target": {"delivered": {"max_records": 4000}}}
    other = str(tmp_path / "other.sock")
    queue.write(**options, input={"listen": other})
    there = queue.folder / "other.conf"
    queue.folder.joinpath("other.yaml").write_text(queue.folder.joinpath("tables.yaml").read_text())
    there.write_text(queue.sink.conf.read_text().replace("tables.yaml", "other.yaml"))
    mine = queue.sink.conf
    queue.write(**options)
    first = queue.sink.daemon()
    queue.sink.conf = there
    second = queue.sink.daemon()
    queue.sink.conf = mine
    stream = messages([table.create(row(number)) for number in range(count)], prefix)
    for daemon in (first, second):
        daemon.await_that(lambda: os.path.exists(other) and os.path.exists(queue.socket), what="sockets")
    senders = [Queue(queue.socket, stream, cut=500), Queue(other, stream, cut=300, shuffled=True)]
    for _ in range(3):
        threading.Event().wait(0.15)
        first.signal(signal.SIGSTOP)
        threading.Event().wait(0.15)
        first.signal(signal.SIGCONT)
    for daemon, sender in zip((first, second), senders):
        daemon.await_that(sender.done, what=lambda: f"settled, {len(sender.left)} are left")
        daemon.stop()
    ids = (database.value("select array_agg(id order by id) from items") if target == "postgres"
           else sorted(line["after"]["id"] for line in queue.changes()))
    assert ids == list(range(count))


def reached(address):
    try:
        return connect(address)
    except OSError:  # bound, and not listening yet
        return None


def exchange(address, lines, until):
    """Send lines in a connection of their own; what was told, up to the line `until`."""
    with wait_for(lambda: reached(address), 30, "somebody listens") as peer:
        answers = peer.makefile("rb")
        peer.sendall("".join(f"{line}\n" for line in lines).encode())
        told = []
        while not told or told[-1] != until:
            line = answers.readline().decode()
            assert line.endswith("\n"), f"hung up after {told}"
            told.append(line.strip())
        return told


def await_socket(queue, daemon):
    daemon.await_that(lambda: os.path.exists(queue.socket), what="the socket")


def test_an_older_change_that_comes_again_does_not_win(queue, database):
    table = queue.write(database=database, conf={"http": {"listen": f"127.0.0.1:{free_port()}"}})
    port = int(queue.sink.conf.read_text().split("127.0.0.1:")[-1].split('"')[0])
    queue.sink.http_port = port
    one, two, three = row(1, 10), row(1, 20), row(2)
    payloads = [record["payload"] for record in (
        table.create(one), table.update(one, two), table.create(three), table.delete(three))]
    lines = [f"m{number}\t{payload}" for number, payload in enumerate(payloads)]
    daemon = queue.sink.daemon()
    await_socket(queue, daemon)
    exchange(queue.socket, lines, "4")
    for again in ([lines[0]], [lines[2]], lines[::-1] + lines[:1]):
        exchange(queue.socket, again, str(len(again)))
    assert database.execute("select id, amount from items") == [(1, 20)]
    daemon.await_that(lambda: daemon.metric("ods_sink_changes_redelivered_total") == 7, what="a metric")
    # Another identity is another message, whatever it says.
    exchange(queue.socket, [lines[0].replace("m0", "m9", 1)], "1")
    assert database.execute("select id, amount from items") == [(1, 10)]
    # Nothing is taken that is not committed: the lag is 0 again.
    status = json.loads(daemon.get("/status")[1])
    (partition,) = status["lanes"][0]["partitions"]
    daemon.await_that(lambda: json.loads(daemon.get("/status")[1])["lanes"][0]["partitions"][0]["applied"]
                      == 12, what=lambda: daemon.get("/status")[1])
    status = json.loads(daemon.get("/status")[1])
    assert status["lanes"][0]["partitions"][0]["lag"] == 0
    daemon.stop()


def test_a_letter_is_told_apart_and_written_once(queue, database, letters):
    table = queue.write(database=database, conf={
        "kafka": True, "dead_letter": {"topic": letters}})
    good = [table.create(row(number))["payload"] for number in range(3)]
    lines = [f"a\t{good[0]}", "b\t{not json", f"c\t{good[1]}", good[2]]
    daemon = queue.sink.daemon()
    await_socket(queue, daemon)
    told = exchange(queue.socket, lines, "4")
    assert [line for line in told if line.startswith("rejected")] == ["rejected 1", "rejected 3"]
    assert told.index("rejected 1") < len(told) - 1
    # Delivered again the letter is dropped; what nobody can know again is a letter once more.
    told = exchange(queue.socket, lines[:2], "2")
    assert not [line for line in told if line.startswith("rejected")]
    # Another record that gets the number which a letter's delivery had is another letter.
    exchange(queue.socket, ["d\t{neither"], "1")
    daemon.stop()
    listed = json.loads(queue.sink.run("dlq", "list", "-c", queue.sink.conf, "--json").stdout)
    assert listed["letters"] == 3 and listed["copies"] == 0
    assert "no identity" in json.dumps(listed)
    assert database.value("select array_agg(id order by id) from items") == [0, 1]


def test_a_letter_is_replayed_though_its_identity_is_kept(queue, database, letters):
    """What was a letter for its row's sake is applied by dlq replay, once."""
    table = queue.write(database=database, conf={
        "kafka": True, "dead_letter": {"topic": letters}})
    daemon = queue.sink.daemon()
    await_socket(queue, daemon)
    first, second = (table.create(row(number))["payload"] for number in range(2))
    exchange(queue.socket, [f"a\t{first}"], "1")
    database.execute("alter table items add constraint small check (id < 1)")
    assert "rejected 0" in exchange(queue.socket, [f"b\t{second}"], "1")
    daemon.stop()
    database.execute("alter table items drop constraint small")
    for expect in ("1 replayed, 0 refused", "0 replayed, 0 refused"):
        said = queue.sink.run("dlq", "replay", "-c", queue.sink.conf, "--force", expect=None)
        assert expect in said.stdout, said.stdout + said.stderr
    assert database.value("select array_agg(id order by id) from items") == [0, 1]


def test_nothing_is_applied_behind_what_was_not(queue, database):
    """A batch that could not be applied comes again, and those that follow it with it: else an older
    change would come after a newer one."""
    table = queue.write(database=database, batch={"max_events": 1, "per_lane": 4},
                        conf={"retry": {"initial_ms": 20000, "max_ms": 20000}})
    database.execute("""
        create table items (id int primary key, name text, amount int,
                            cdc_operation text, cdc_timestamp timestamptz);
        create function away() returns trigger language plpgsql as $$ begin
            raise exception 'away' using errcode = '40001'; end $$;
        create trigger away before insert on items for each row when (new.id = 0)
            execute function away()""")
    daemon = queue.sink.daemon()
    sender = Queue(queue.socket, messages([table.create(row(number)) for number in range(4)]))
    daemon.await_that(lambda: "waiting, and trying again" in daemon.log(), what="an outage")
    threading.Event().wait(0.3)
    daemon.stop()
    assert database.count("items") == 0 and not sender.settled
    database.execute("drop trigger away on items")
    daemon = queue.sink.daemon()
    daemon.await_that(sender.done, what="all of them settled")
    daemon.stop()
    assert database.count("items") == 4 and sender.settled == ["m0", "m1", "m2", "m3"]


def test_what_waits_for_a_partner_comes_again(queue, database):
    """What stands before a row that waits is committed; killed then, it is dropped when it comes again."""
    table = queue.write(database=database, batch={"max_events": 10},
                        conf={"retry": {"constraint_attempts": 100, "max_ms": 100}})
    database.execute("""
        create table items (id int primary key, name text, amount int,
                            cdc_operation text, cdc_timestamp timestamptz);
        create table parents (id int primary key);
        create table seen (id int);
        create function see() returns trigger language plpgsql as $$ begin
            insert into seen values (new.id); return new; end $$;
        create trigger see after insert or update on items for each row execute function see();
        insert into parents values (0);
        alter table items add foreign key (amount) references parents""")
    stream = messages([table.create(row(0)), table.create(row(1)), table.create(row(2, 7)),
                       table.create(row(3))])
    sender = Queue(queue.socket, stream)
    daemon = queue.sink.daemon()
    daemon.await_that(lambda: database.count("items") == 2, what="what stands before it")
    assert not sender.settled
    daemon.kill()
    daemon = queue.sink.daemon()
    daemon.await_that(lambda: "waits for the row" in daemon.log(), what="it waits")
    database.execute("insert into parents values (7)")
    daemon.await_that(sender.done, what="all of them settled")
    daemon.stop()
    assert database.value("select array_agg(id order by id) from seen") == [0, 1, 2, 3]


@pytest.mark.parametrize("prefix", ["m", "m-"])
def test_identities_are_kept_within_a_bound(queue, database, prefix):
    """The oldest go by truncating their slot, the newest are known."""
    table = queue.write(database=database, target={"delivered": {"max_records": 1000}},
                        batch={"max_events": 50})
    daemon = queue.sink.daemon()
    stream = messages([table.create(row(number)) for number in range(3000)], prefix)
    sender = Queue(queue.socket, stream)
    daemon.await_that(sender.done, what="all of them settled")
    kept = database.delivered()
    assert 700 <= kept <= 1100
    assert "raise delivered.max_records" in daemon.log()
    last = [f"{identity}\t{text}" for identity, text in stream[-500:]]
    database.execute("delete from items")
    exchange(queue.socket, last, "500")
    assert database.count("items") == 0
    daemon.stop()
    assert database.value("select sum(n_tup_del) from pg_stat_user_tables "
                          "where relname like 'delivered_%%'") == 0


def test_identities_are_kept_within_a_bound_in_files(queue):
    table = queue.write(target={"delivered": {"max_records": 1000}}, batch={"max_events": 50})
    daemon = queue.sink.daemon()
    stream = messages([table.create(row(number)) for number in range(2400)])
    sender = Queue(queue.socket, stream)
    daemon.await_that(sender.done, what="all of them settled")
    exchange(queue.socket, [f"{identity}\t{text}" for identity, text in stream[-400:]], "400")
    daemon.stop()
    assert len(queue.changes()) == 2400
    files = sorted((queue.folder / "out" / "test.items").glob("delivered-*.keys"))
    assert len(files) == 2 and sum(file.stat().st_size for file in files) <= 1100 * 16


DELIVER = "select ods_sink.deliver('g', 'q', %s, 1, array[%s]::bytea[], '{}', '{}', '{}')"
COUNTED = ("select ods_sink.deliver('g', 'q', %s, 1, '{}', array['chunk'::bytea], "
           "array[%s::bit(512)], '{}')")


@pytest.mark.parametrize("deliver, x, y, z", [
    (DELIVER, b"x" * 16, b"y" * 16, b"z" * 16), (COUNTED, 1, 2, 4)])
def test_writers_of_one_record_wait_for_each_other(database, deliver, x, y, z):
    """ods_sink.deliver() by itself: what another transaction has, or is about to have, is refused."""
    database.execute((ROOT / "sql" / "ods_sink.sql").read_text())
    one, two = database.connect(), database.connect()
    one.autocommit = False
    with one.cursor() as first, two.cursor() as second:
        first.execute(deliver, (0, x))
        second.execute("set lock_timeout = '10s'; set statement_timeout = '20s'")
        done = []
        waiting = threading.Thread(target=lambda: done.append(refusal(second, deliver, (0, x))))
        waiting.start()
        # A turn would let the two write into different slots: it waits, and gives up for now.
        assert refusal(database.connect().cursor(), "select ods_sink.turn_delivered(0, 9)") == "55P03"
        wait_for(lambda: database.value("select count(*) from pg_locks where not granted"), 10)
        assert not done
        one.commit()
        waiting.join(20)
        assert done == ["OS002"]
        # Who looked before a turn has not looked into what was written since.
        database.execute("select ods_sink.turn_delivered(0, 9)")
        assert database.value("select slot from ods_sink.delivered_slot") == 1
        assert refusal(second, deliver, (0, y)) == "OS002"
        assert refusal(second, deliver, (1, y)) is None
        # One that was rolled back is free.
        first.execute(deliver, (1, z))
        one.rollback()
        assert refusal(second, deliver, (1, z)) is None
        assert refusal(second, deliver, (1, y)) == "OS002"
    assert database.delivered() == 3
    one.close()
    two.close()


def test_records_that_an_earlier_version_kept(queue, database):
    """It knew all identities by their digests; what it has applied is dropped, also where it is still
    running and writes between a look and the commit."""
    database.execute((ROOT / "sql" / "ods_sink.sql").read_text())
    table = queue.write(database=database)
    group = f"{queue.sink.group}.items"
    lines = [f"m-{number}\t{table.create(row(number))['payload']}" for number in range(8)]

    def earlier(numbers):
        keys = [digest(f"m-{number}") for number in numbers]
        slot = database.value("select slot from ods_sink.delivered_slot")
        database.execute("select ods_sink.deliver(%s, %s, %s, %s::bytea[])",
                         group, table.topic, slot, keys)

    def digest(identity):
        parts = [part.encode() for part in (group, table.topic)]
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts) + identity.encode()
        return hashlib.sha256(text).digest()[:16]

    earlier([0, 1])
    daemon = queue.sink.daemon()
    await_socket(queue, daemon)
    exchange(queue.socket, lines[:3], "3")
    assert database.execute("select id from items") == [(2,)]
    earlier([3, 4])
    exchange(queue.socket, lines[:6], "6")
    assert database.execute("select id from items order by id") == [(2,), (5,)]
    kept = "select count(*) from ods_sink.delivered where key = %s"
    assert database.value(kept, digest("m-5")) == 1, "it may run still, and be given this one again"
    # Four turns later all that it has kept is gone, and is asked for no more.
    former = ("select bool_or(coalesce(q.counted_since + 4 > s.slot, true)) "
              "from ods_sink.delivered_sources q, ods_sink.delivered_slot s")
    assert database.value(former)
    for _ in range(4):
        database.execute("select ods_sink.turn_delivered(0, 9)")
    assert not database.value(former)
    exchange(queue.socket, lines[6:], "2")
    daemon.stop()
    assert database.value("select array_agg(id order by id) from items") == [2, 5, 6, 7]
    assert database.value(kept, digest("m-7")) == 0, "nobody looks for it by that"
    # Who has looked before the earlier version wrote is refused.
    earlier([9])
    refused = ("select ods_sink.deliver(%s, %s, 4, 1, '{}', array[%s::bytea], array[1::bit(512)], "
               "array[%s]::bytea[])")
    at = (group, table.topic, b"chunk")
    with database.connect().cursor() as cursor:
        assert refusal(cursor, refused.replace("array[%s]::bytea[]", "'{}'"), at) == "OS002"
        assert refusal(cursor, refused, (*at, digest("m-9"))) == "OS002"
        assert refusal(cursor, refused, (*at, digest("m-8"))) is None


def refusal(cursor, sql, parameters=None):
    """The SQLSTATE; None: it is taken."""
    try:
        cursor.execute(sql, parameters)
    except psycopg2.Error as error:
        return error.pgcode
    return None


def test_an_older_schema_gets_what_it_lacks(queue, database):
    """Only pipelines of queues need it."""
    old = (ROOT / "sql" / "ods_sink.sql").read_text()
    database.execute(old)
    database.execute("""
        drop table ods_sink.delivered, ods_sink.delivered_slot, ods_sink.delivered_sources;
        drop function ods_sink.deliver(text, text, bigint, bytea[]);
        drop function ods_sink.deliver(text, text, bigint, bigint, bytea[], bytea[], bit[], bytea[]);
        drop function ods_sink.turn_delivered""")
    table = queue.write(database=database)
    daemon = queue.sink.daemon()
    sender = Queue(queue.socket, messages([table.create(row(1))]))
    daemon.await_that(sender.done, what="it is settled")
    daemon.stop()
    assert database.delivered() == 1


def test_keyed_messages_and_tombstones(queue, database):
    table = queue.write(database=database, input={"keyed": True})
    daemon = queue.sink.daemon()
    await_socket(queue, daemon)
    records = [table.create(row(number)) for number in range(3)]
    lines = [f"m{number}\t{record['key']}\t{record['payload']}"
             for number, record in enumerate(records)]
    exchange(queue.socket, [*lines, f"m3\t{records[1]['key']}\t"], "4")
    daemon.stop()
    assert database.value("select array_agg(id order by id) from items") == [0, 2]


def test_a_message_without_identity_is_not_passed_over(queue):
    table = queue.write()
    daemon = queue.sink.daemon()
    Queue(queue.socket, [("", table.create(row(1))["payload"])])
    assert daemon.process.wait(60) == Exit.NEGATIVE
    daemon.ended = True
    assert "no identity" in daemon.log()


def test_check_says_what_is_guaranteed(queue, database):
    for options in ({"database": database}, {}):
        queue.write(**options)
        (line,) = [line for line in queue.sink.check().stdout.splitlines() if "# items to ods" in line]
        assert "exactly once: rows and their records' identities" in line
        assert "provided that its sender gives each message an identity" in line
        assert "delivered.keep_ms" in line and "delivered.max_records" in line
        (told,) = json.loads(queue.sink.check("--json").stdout)["pipelines"]
        assert told["guarantee"] in line and told["provided"] in line


def test_reset_has_no_offsets_to_move(queue, database):
    table = queue.write(database=database)
    done = queue.sink.run("reset", "-c", queue.sink.conf, "--topic", table.topic, "--to", "earliest",
                          expect=Exit.USAGE)
    assert "queue" in done.stderr
