"""verify --repair, --delete-extra, and resync --snapshot against the real systems: what is planted in the
target is healed through the connector's own stream, while changes stream."""

import json
import random
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import pymysql
import pytest
from conftest import ROOT, build
from lib.connect import Connect
from lib.kafka import Kafka
from lib.mysql import Source
from lib.postgres import Database, create_database, drop_database
from lib.sink import Setup
from lib.size import FULL, size
from lib.waiting import wait_for

EQUAL, DIFFERS, CONFIG, SOURCE, CANT_TELL = 0, 1, 3, 4, 6
pytestmark = pytest.mark.timeout(3600 if FULL else 900)  # on a busy machine
# While changes stream rows are compared by the hundred, and what differs among them is looked at again each time:
# that is what a run takes.
ROWS = size("REPAIR_ROWS", 600, 1000000)
PLANTED = size("REPAIR_PLANTED", 80, 1000)
LOOKS = size("REPAIR_LOOKS", 1, 2)
KILLS = size("REPAIR_KILLS", 1, 3)
READER = "repair_reader"
RATE = size("REPAIR_RATE", 300, 2000)  # changes a second meanwhile
CHUNK = size("REPAIR_CHUNK", 256, 8192)  # rows: a snapshot has several

# One column of each family of types: its definition, the source's value of row n, and the target's SQL
# for a wrong one.
FAMILIES = {
    "c_int": ("int", "n", "c_int + 1"),
    "c_ubig": ("bigint unsigned", "18446744073709551615 - n", "c_ubig - 1"),
    "c_dec": ("decimal(30,10)", "n / 7", "c_dec + 0.0000000001"),
    "c_double": ("double", "n / 3", "c_double + 1"),
    "c_bool": ("bit(1)", "n & 1", "not c_bool"),
    "c_bits": ("bit(12)", "n & 4095", "~c_bits"),
    "c_date": ("date", "date_add('2000-01-01', interval n % 9000 day)", "c_date + 1"),
    "c_time": ("time(6)", "sec_to_time(n % 86000)", "c_time + '1 second'"),
    "c_dt": ("datetime(6)", "date_add('2000-01-01', interval n second)", "c_dt + '1 us'"),
    "c_ts": ("timestamp(6) null", "from_unixtime(1000000000 + n)", "c_ts + '1 us'"),
    "c_year": ("year", "2000 + n % 100", "c_year + 1"),
    "c_text": ("varchar(60)", "concat('row ', n, ' “ü”')", "c_text || ' '"),
    "c_blob": ("varbinary(40)", "unhex(md5(n))", r"c_blob || '\x00'"),
    "c_enum": ("enum('a','b')", "if(n & 1, 'a', 'b')", "case c_enum when 'a' then 'b' else 'a' end"),
    "c_set": ("set('x','y','z')", "n & 7", "coalesce(nullif(c_set, 'x'), 'y') || 'x'"),
    "c_json": ("json", "json_object('n', n)", """'{"other": 1}'::jsonb"""),
}

# Keys of each kind: the source's table and its rows; rows 2 and 3 of each will differ.
KEYS = {
    "k_pair": ("a int, b varchar(30), v int, primary key (a, b)",
               [(1, "x"), (1, "O'Brien\\"), (2, 'say "no"; -- `x`'), (3, "%_\n")]),
    "k_text": ("k varchar(60) collate utf8mb4_0900_ai_ci primary key, v int",
               [("plain",), ("') or ('1'='1",), ("日本 😀 \\",), ("Çelik",)]),
    "k_number": ("k decimal(20,4) primary key, v int", [("1.5",), ("-7.2500",), ("99999.0001",), ("0",)]),
    "k_bytes": ("k varbinary(20) primary key, v int",
                [(b"a",), (b"\x00\xff'\\",), (b"\x27\x20\x6f",), (b"z",)]),
    "k_date": ("k date primary key, v int",
               [("2024-01-01",), ("1999-12-31",), ("2030-06-01",), ("2024-02-29",)]),
    "k_moment": ("k timestamp(6) primary key, v int",
                 [("2024-01-01 00:00:00.000001",), ("2024-07-01 12:00:00",), ("2001-09-09 01:46:40.5",),
                  ("2024-01-02 00:00:00",)]),
    "k_clock": ("k datetime(3) primary key, v int",
                [("2024-01-01 00:00:00.001",), ("2024-07-01 12:00:00",), ("1969-12-31 23:59:59.999",),
                 ("2024-01-02 00:00:00",)]),
}


class World:
    """A MySQL source, its connector as it is shipped, a daemon, a database; for the module."""

    def __init__(self, stack, folder):
        stack.up("postgres", "mysql", "kafka", "connect")
        self.stack, self.source, self.kafka = stack, Source(stack), Kafka(stack)
        self.prefix = f"repair-{random.randrange(10**6)}"
        self.database = create_database(stack, "ods_repair")
        self.sink = Setup(folder, build("release"), stack)
        self.daemon = None
        self.connect = Connect(stack["CONNECT_URL"])

    def grant(self):
        """A user with the rights that docs/cli/verify.md names, and no others."""
        root = pymysql.connect(unix_socket=self.stack["MYSQL_SOCKET"], user="root", autocommit=True)
        with root.cursor() as cursor:
            for sql in (f"drop user if exists {READER}@'%'",
                        f"create user {READER}@'%' identified with mysql_native_password by 'reads only'",
                        f"grant select on mks_finance_dw.* to {READER}@'%'",
                        f"grant replication client, replication slave on *.* to {READER}@'%'",
                        f"grant insert on mks_finance_dw.debezium_signal to {READER}@'%'"):
                cursor.execute(sql)
        root.close()

    def begin(self):
        self.grant()
        columns = ", ".join(f"{name} {family[0]}" for name, family in FAMILIES.items())
        self.source.execute(f"create table ledger (id int primary key, {columns}, v int)")
        self.source.execute("create table numbers (n int primary key)")
        self.source.execute("insert into numbers values (1)")
        count = 1
        while count < ROWS:
            more = min(count, ROWS - count)
            self.source.execute(f"insert into numbers select n + {count} from numbers where n <= {more}")
            count += more
        self.source.execute("set sql_mode = ''")
        values = ", ".join(family[1] for family in FAMILIES.values())
        self.source.execute(f"insert into ledger select n, {values}, 0 from numbers")
        self.source.execute("create table busy (id int primary key, v int)")
        self.source.execute("insert into busy select n - 1, 0 from numbers where n <= 180")
        self.source.execute("drop table numbers")
        for table, (columns, rows) in KEYS.items():
            self.source.execute(f"create table {table} ({columns})")
            for number, row in enumerate(rows):
                self.source.execute(f"insert into {table} values ({', '.join(['%s'] * len(row))}, %s)",
                                    (*row, number))
        self.kafka.create(f"{self.prefix}-signal", 1)
        self.register()
        self.configure()
        self.daemon = self.sink.daemon()
        self.daemon.await_that(self.arrived, 600, "the snapshot")

    def register(self, *settings):
        self.stack.connector(
            "register", ROOT / "config" / "connectors" / "mks_finance.json", f"name={self.prefix}",
            f"topic.prefix={self.prefix}", f"database.server.id={random.randrange(6000, 2**31)}",
            f"schema.history.internal.kafka.topic=history-{self.prefix}",
            "signal.poll.interval.ms=300", f"incremental.snapshot.chunk.size={CHUNK}",
            "table.include.list=mks_finance_dw.ledger,mks_finance_dw.busy,mks_finance_dw.k_.*", *settings)

    def configure(self, on_delete="hard", throttle=0, connect=None):
        self.sink.write(
            {"name": "finance", "topics": [f"^{self.prefix}(\\..*)?$"], "format": "debezium",
             "target": "ods", "source": {"connector": "mysql"},
             "defaults": {"on_delete": on_delete}},
            database=self.database, kafka=True, dead_letter={"topic": f"letters-{self.prefix}"},
            connect={"url": self.stack["CONNECT_URL"], **(connect or {})},
            databases=[{"name": "shop", "type": "mysql", "throttle": throttle,
                        "dsn": f"host=127.0.0.1 port={self.stack['MYSQL_PORT']} user={READER} "
                               "password='reads only' dbname=mks_finance_dw"}])

    def arrived(self):
        return all(self.database.exists(table) for table in ("ledger", "busy", *KEYS)) and \
            self.database.count("ledger") == ROWS and self.database.count("busy") == 180 and \
            all(self.database.count(table) == len(rows) for table, (_, rows) in KEYS.items())

    def environment(self):
        return {**self.stack.environment(), "XDG_STATE_HOME": str(self.sink.folder / "state")}

    def command(self, *arguments):
        return [self.sink.binary, *map(str, arguments[:1]), "-c", self.sink.conf,
                *map(str, arguments[1:])]

    def run(self, *arguments, expect=None, timeout_s=900):
        done = subprocess.run(self.command(*arguments), text=True, capture_output=True,
                              timeout=timeout_s, env=self.environment())
        assert "Sanitizer" not in done.stderr, done.stderr
        assert expect is None or done.returncode == expect, done.stdout[-6000:] + done.stderr[-3000:]
        return done

    def verify(self, *arguments, expect):
        return json.loads(self.run("verify", "--json", *arguments, expect=expect).stdout)

    @contextmanager
    def changes(self):
        """So many a second, a tenth of them in ledger, of rows that nobody plants differences in. Fewer
        where the machine is too slow for the connector to keep up. How many of ledger there were."""
        stop, made, failed = threading.Event(), [0, 0], []

        def run():
            source, target = Source(self.stack), Database(self.stack, self.database.name)
            choose = random.Random(3)
            try:
                began = time.monotonic()
                base = source.execute("select v from busy where id = 0")[0][0]
                while not stop.is_set():
                    # Twenty rows of those whose number ends in 5, in one statement.
                    first = choose.randrange(ROWS // 10 - 20) * 10 + 5
                    source.execute("update ledger set v = v + 1 where id in "
                                   f"({', '.join(str(first + 10 * i) for i in range(20))})")
                    source.execute("update busy set v = v + 1 where id < 180")
                    made[0] += 20
                    made[1] += 200
                    time.sleep(max(0, began + made[1] / RATE - time.monotonic()))
                    while (base + made[1] // 200 - target.value("select v from busy where id = 0")
                           > 3 * RATE // 200 and not stop.is_set()):
                        time.sleep(0.1)
                made.append(made[1] / (time.monotonic() - began))
            except Exception as error:  # noqa: BLE001
                failed.append(error)
            finally:
                source.close()
                target.close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield made
        finally:
            stop.set()
            thread.join()
            assert not failed, failed

    def close(self):
        try:
            self.stack.connector("delete", "--offsets", f"name={self.prefix}")
            self.sink.close()
        finally:
            for table in ("ledger", "busy", "numbers", *KEYS):
                self.source.execute(f"drop table if exists {table}")
            self.source.close()
            self.database.close()
            drop_database(self.stack, self.database.name)


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory):
    world = World(stack, tmp_path_factory.mktemp("repair"))
    try:
        world.begin()
        yield world
    finally:
        world.close()


def found(report, outcome=None):
    """(table, kind, key, columns that differ), of all differences; or of those with an outcome."""
    return sorted(
        (table["table"].split(".")[1], difference["kind"], *difference["key"].values(),
         *(column["column"] for column in difference["columns"]))
        for table in report["tables"] for difference in table["differences"]
        if outcome is None or difference.get("outcome") == outcome)


def plant(database, count):
    """Missing, changed and extra rows of ledger, and what is to be said of each. Their numbers end in 0."""
    choose, expected = random.Random(5), []
    keys = choose.sample(range(10, ROWS + 1, 10), count * 7 // 10)
    changed = keys[count * 3 // 10:]
    for key in keys[:count * 3 // 10]:
        expected.append(("ledger", "missing", str(key)))
    database.execute("delete from ledger where id = any(%s)", keys[:count * 3 // 10])
    for number, (column, family) in enumerate(FAMILIES.items()):
        share = changed[number::len(FAMILIES)]
        database.execute(f"update ledger set {column} = {family[2]} where id = any(%s)", share)
        expected += [("ledger", "changed", str(key), column) for key in share]
    extra = count - len(keys)
    database.execute("insert into ledger (id, v) select -n, 1 from generate_series(1, %s) n", extra)
    expected += [("ledger", "extra", str(-number)) for number in range(1, extra + 1)]
    return sorted(expected)


def test_many_differences_while_changes_stream(world, report):
    expected = plant(world.database, PLANTED)
    assert len(expected) == PLANTED
    extra = [row for row in expected if row[1] == "extra"]
    with world.changes() as made:
        for _ in range(LOOKS):
            told = world.verify("ledger", "--limit", 100000, expect=DIFFERS)
            assert found(told) == expected
            assert not told["tables"][0]["unsettled"]
        began = time.monotonic()
        told = world.verify("ledger", "--repair", "--limit", 100000, expect=DIFFERS)
        report(f"repaired in {time.monotonic() - began:.1f} s, {ROWS} rows")
        assert found(told) == expected
        assert found(told, "repaired") == [row for row in expected if row[1] != "extra"]
        assert found(told, "left") == extra
        assert {d["left_because"] for d in told["tables"][0]["differences"] if d["kind"] == "extra"} == {
            "only the target has it: --delete-extra deletes it"}
        told = world.verify("ledger", "--limit", 100000, expect=DIFFERS)
        assert found(told) == extra
        told = world.verify("ledger", "--repair", "--delete-extra", "--limit", 100000, expect=EQUAL)
        assert found(told, "deleted") == extra
        assert told["tables"][0]["deleted"] == len(extra)
        assert world.daemon.running()
    world.verify(expect=EQUAL)
    assert world.database.count("ledger") == ROWS
    total = world.source.execute("select sum(v) from ledger")[0][0]
    report(f"{made[2]:.0f} changes a second")
    assert int(total) == made[0] == world.database.execute("select sum(v) from ledger")[0][0]
    assert not world.database.exists("debezium_signal")


def test_keys_of_every_kind(world):
    database, expected = world.database, []
    for table in KEYS:
        database.execute(f"update {table} set v = 100 where v = 1")
        database.execute(f"delete from {table} where v = 2")
        expected += [(table, "changed"), (table, "missing")]
    database.execute(r"insert into k_bytes (k, v) values ('\x2727', 9)")
    database.execute("insert into k_pair (a, b, v) values (9, 'it''s', 9)")
    told = world.verify(*KEYS, "--repair", "--delete-extra", expect=EQUAL)
    assert [row[:2] for row in found(told, "repaired")] == sorted(expected)
    assert found(told, "deleted") == [("k_bytes", "extra", r"\x2727"), ("k_pair", "extra", "9", "it's")]
    # The last record of each row, but of the invented one; not of keys that records write otherwise.
    told = {table["table"].split(".")[1]: table["differences"] for table in told["tables"]}
    for difference in told["k_pair"] + told["k_text"]:
        assert (difference["offset"] is not None) == (difference["kind"] != "extra"), difference
    assert not any(difference["offset"] for difference in told["k_bytes"])
    world.verify(*KEYS, expect=EQUAL)
    assert not database.count("k_pair", "a = 9")


def test_a_key_that_moved_and_was_overtaken(world):
    """Its topic got a partition, and the connector's older record of the key is read after the newer one, from
    the other partition: the row stays wrong, which verify sees and repairs (docs/operations.md)."""
    topic, key = f"{world.prefix}.mks_finance_dw.k_clock", "k = '2024-07-01 12:00:00'"
    records = world.kafka.read(topic)
    older = next(one for one in records if b"1719835200000" in one.key())
    world.source.execute(f"update k_clock set v = 500 where {key}")
    wait_for(lambda: world.database.count("k_clock", f"{key} and v = 500"), 60, "the newer change")
    added = world.kafka.partition_count(topic)
    world.kafka.add_partitions(topic, added + 1)
    world.kafka.produce([{"topic": topic, "partition": added, "key": older.key(), "payload": older.value()}])
    wait_for(lambda: not world.database.count("k_clock", "v = 500"), 60, "the older one")
    told = world.verify("k_clock", expect=DIFFERS)
    assert [row[1:2] + row[3:] for row in found(told)] == [("changed", "v")]
    told = world.verify("k_clock", "--repair", expect=EQUAL)
    assert len(found(told, "repaired")) == 1
    assert world.database.count("k_clock", f"{key} and v = 500") == 1


def test_an_extra_row_that_changes_stays(world):
    world.database.execute("insert into k_date values ('2050-01-01', 1), ('2050-01-02', 1)")
    other = Database(world.stack, world.database.name)
    other.execute("begin")
    other.execute("update k_date set v = 2 where k = '2050-01-01'")  # a change that is on its way
    done = subprocess.Popen(world.command("verify", "k_date", "--delete-extra"), text=True,
                            env=world.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: world.database.execute(
        "select count(*) from pg_stat_activity where datname = current_database() and "
        "wait_event_type = 'Lock'")[0][0], 60, "the delete waits for the change")
    other.execute("commit")
    other.close()
    output, errors = done.communicate(timeout=120)
    assert done.returncode == DIFFERS, output + errors
    assert "left mks_finance_dw.k_date: k=2050-01-01: it has changed since it was compared" in output
    assert world.database.execute("select v from k_date where k = '2050-01-01'") == [(2,)]
    assert not world.database.count("k_date", "k = '2050-01-02'")
    world.verify("k_date", "--delete-extra", expect=EQUAL)


def test_lagging_and_killed(world):
    """A daemon that stands still is no difference, and nothing is asked for; a repair that is killed is
    done again."""
    key = 20
    world.daemon.signal(signal.SIGSTOP)
    try:
        world.source.execute("update k_pair set v = v + 100 where a = 3")
        told = world.verify("k_pair", "--repair", "--delete-extra", "--wait", 1, expect=CANT_TELL)
        assert not found(told)
    finally:
        world.daemon.signal(signal.SIGCONT)
    world.verify("k_pair", expect=EQUAL)
    world.database.execute("update ledger set c_int = 0 where id = %s", key)
    world.database.execute("delete from ledger where id > %s", ROWS - 50)
    ends = ends_of(world)
    process = subprocess.Popen(world.command("verify", "ledger", "--repair"), env=world.environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: ends_of(world) > ends, 120, "a signal", 0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    told = world.verify("ledger", "--repair", "--resume", expect=EQUAL)
    world.verify("ledger", expect=EQUAL)


def ends_of(world):
    """How many signals there are."""
    return world.kafka.count(f"{world.prefix}-signal")


def states(world):
    status = world.connect.try_call("GET", f"/connectors/{world.prefix}/status")
    return status and {part["state"] for part in (status["connector"], *status["tasks"])}


def refused(world, *arguments, code, says):
    done = world.run("verify", "k_text", "--repair", *arguments, expect=code)
    assert says in done.stderr, done.stderr
    return done.stderr


def test_what_the_connector_lacks(world):
    config = world.connect.call("GET", f"/connectors/{world.prefix}/config")

    def change(runs_by_it=True, **properties):
        changed = {**config, **{name.replace("__", "."): value for name, value in properties.items()}}
        world.connect.insist("PUT", f"/connectors/{world.prefix}/config",
                             {name: value for name, value in changed.items() if value is not None})
        runs = []  # Connect still tells the state from before the change at first

        def settled():
            runs.append(states(world) == {"RUNNING"})
            return len(runs) > 10 and all(runs[-10:])

        if runs_by_it:
            wait_for(settled, 120, "running", 0.3)

    world.database.execute("update k_text set v = 50 where v = 0")
    try:
        change(signal__data__collection=None)
        says = refused(world, code=CONFIG, says="neither signal.data.collection is set")
        assert f"connector {world.prefix} can't be asked for rows" in says
        assert "connectors apply FILE --set signal.enabled.channels=source,kafka" in says
        change(False, signal__enabled__channels="kafka", signal__kafka__bootstrap__servers=None)
        refused(world, code=CONFIG, says="signal.kafka.bootstrap.servers is not set")
        change(signal__data__collection="mks_finance_dw.nowhere")
        refused(world, code=CONFIG, says="mks_finance_dw.nowhere (signal.data.collection), is not there")
        change(signal__enabled__channels="kafka", signal__kafka__topic=f"no-{world.prefix}")
        refused(world, code=CONFIG, says=f"its topic for signals, no-{world.prefix}, ")
        refused(world, "--connector", "nobody", code=2, says="Kafka Connect has no connector nobody")
        # By the table for signals alone.
        change(signal__enabled__channels="source")
        told = world.verify("k_text", "--repair", expect=EQUAL)
        assert [row[:2] for row in found(told, "repaired")] == [("k_text", "changed")]
    finally:
        change()
    world.connect.insist("PUT", f"/connectors/{world.prefix}/pause")
    try:
        wait_for(lambda: states(world) == {"PAUSED"}, 60, "paused")
        refused(world, code=SOURCE, says="is paused, and sends nothing")
    finally:
        world.connect.insist("PUT", f"/connectors/{world.prefix}/resume")
    world.configure(connect={"url": ""})
    try:
        refused(world, code=CONFIG, says="the address of Kafka Connect, by which")
    finally:
        world.configure()


def test_resync_by_a_snapshot_under_load(world, report):
    """Rows that are missing, wrong or invented, and a topic that would bring none of it right: killed in its
    middle, it ends equal."""
    plant(world.database, 80)
    choose = random.Random(11)
    with world.changes():
        for _ in range(KILLS):
            signals = ends_of(world)
            process = subprocess.Popen(world.command("resync", "ledger", "--snapshot"),
                                       env=world.environment(), stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            wait_for(lambda: ends_of(world) > signals or process.poll() is not None, 120, "a signal", 0.05)
            time.sleep(choose.random() * 2)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        began = time.monotonic()
        told = json.loads(world.run("resync", "ledger", "--snapshot", "--json", expect=EQUAL).stdout)
        report(f"{time.monotonic() - began:.1f} s, held for {told['held_ms']} ms")
        assert told["state"] == "running" and told["rows"] == ROWS
    world.verify("ledger", expect=EQUAL)
    assert not world.database.execute("select 1 from ods_sink.shadows union all select 1 from "
                                      "ods_sink.offsets where consumer_group like '%%.snapshot.%%'")


def test_resync_by_a_snapshot_keeps_rows_that_are_marked(world):
    world.daemon.stop()
    world.configure(on_delete="soft")
    world.daemon = world.sink.daemon().await_ready()
    try:
        world.source.execute("insert into k_number values ('55.5', 1)")
        world.source.execute("delete from k_number where k = '55.5'")
        world.daemon.await_that(lambda: world.database.count("k_number", "cdc_operation = 'd'") == 1, 60,
                                "the mark")
        world.database.execute("update k_number set v = 77 where v = 1 and cdc_operation <> 'd'")
        world.database.execute("insert into k_number (k, v, cdc_operation) values (65, 1, 'c')")
        told = world.verify("k_number", "--delete-extra", expect=DIFFERS)
        assert found(told, "deleted") == [("k_number", "extra", "65.0000")]
        assert world.database.execute("select cdc_operation from k_number where k = 65") == [("d",)]
        world.database.execute("insert into k_number (k, v, cdc_operation) values (66, 1, 'c')")
        world.run("pause", "k_number", "--reason", "a test", expect=EQUAL)
        says = world.run("resync", "k_number", "--snapshot", expect=1).stderr
        assert "k_number is paused" in says
        world.run("resume", "k_number", expect=EQUAL)
        world.run("resync", "k_number", "--snapshot", expect=EQUAL)
        world.verify("k_number", expect=EQUAL)
        marked = world.database.execute("select k from k_number where cdc_operation = 'd' order by k")
        assert [float(row[0]) for row in marked] == [55.5, 65]
        assert not world.database.count("k_number", "k = 66")
    finally:
        world.daemon.stop()
        world.configure()
        world.daemon = world.sink.daemon().await_ready()
        world.database.execute("delete from k_number where cdc_operation = 'd'")
