"""verify against the real systems: MySQL, Debezium, Kafka, a daemon, PostgreSQL. What is planted in the
target is found, and nothing else, while changes stream; nobody cries wolf when something stands still."""

import json
import random
import re
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, nullcontext

import pymysql
import pytest
from conftest import ROOT, build
from lib.connect import Connect
from lib.mysql import Source
from lib.postgres import create_database, drop_database
from lib.sink import Setup
from lib.size import size
from lib.waiting import wait_for
from workload import EVERY_TYPE, PAIRS, Workload
from workload import TABLES as SOURCE_TABLES

EQUAL, DIFFERS, CANT_TELL = 0, 1, 6
TABLES = ("customers", "every_type", "pairs")
WORDS = """create table words (word varchar(40) collate utf8mb4_0900_ai_ci primary key, n int)"""
NOKEY = """create table nokey (a int, b varchar(20), c decimal(10,2))"""
READER = "verify_reader"
RATE = size("VERIFY_RATE", 400, 2000)  # changes a second


class World:
    """One of all, for the module: a connector, a daemon, a database."""

    def __init__(self, stack, folder):
        stack.up("postgres", "mysql", "kafka", "connect")
        self.stack, self.source = stack, Source(stack)
        self.prefix = f"verify-{random.randrange(10**6)}"
        self.database = create_database(stack, "ods_verify")
        self.sink = Setup(folder, build("release"), stack)
        self.daemon = None
        self.random = random.Random(7)

    def begin(self):
        self.source.script((ROOT / "sql" / "mks_finance" / "source.sql").read_text())
        for sql in (EVERY_TYPE, PAIRS, WORDS, NOKEY):
            self.source.execute(sql)
        for table in SOURCE_TABLES:  # others may have left rows there
            self.source.execute(f"delete from {table}")
        self.grant()
        workload = Workload(self.source, 11)
        for table in TABLES:
            workload.insert(table, 60)
        for word in ("Anna", "bertha", "Çelik", "côte", "cote1", "Zoë", "ägypten", "a b", "_", "~x",
                     "日本", "😀"):
            self.source.execute("insert into words values (%s, %s)", (word, len(word)))
        for number in range(30):
            self.source.execute("insert into nokey values (%s, %s, %s)",
                                (number % 7, f"t{number % 5}", number % 3))
        self.stack.connector(
            "register", ROOT / "config" / "connectors" / "mks_finance.json", f"name={self.prefix}",
            f"topic.prefix={self.prefix}", f"database.server.id={random.randrange(6000, 2**31)}",
            f"schema.history.internal.kafka.topic=history-{self.prefix}",
            "topic.creation.groups=ordered", r"topic.creation.ordered.include=.*\.nokey",
            "topic.creation.ordered.partitions=1", "topic.creation.ordered.replication.factor=1")
        self.configure()
        self.daemon = self.sink.daemon(env={"VERIFY_PASSWORD": "reads only"})
        self.await_arrival()

    def grant(self):
        """A user with the rights that docs/cli/verify.md names, and no others."""
        root = pymysql.connect(unix_socket=self.stack["MYSQL_SOCKET"], user="root", autocommit=True)
        with root.cursor() as cursor:
            cursor.execute(f"create user {READER}@'%' identified with mysql_native_password "
                           "by 'reads only'")
            cursor.execute(f"grant select on mks_finance_dw.* to {READER}@'%'")
            cursor.execute("grant replication client, replication slave on *.* to "
                           f"{READER}@'%'")
        root.close()

    def configure(self, user=READER, password="${VERIFY_PASSWORD}", tables=None, alone=False, **database):
        self.sink.write(
            {"name": "finance", "topics": [f"^{self.prefix}(\\..*)?$"], "format": "debezium",
             "target": "ods", "source": {"connector": "mysql"},
             "defaults": {"on_delete": "soft"}, "tables": tables or {},
             "transforms": [{"type": "set", "constants": {"region": "eu"}, "metadata": {
                 "src_topic": "topic", "src_partition": "partition", "src_offset": "offset"}}]},
            database=self.database, kafka=True, dead_letter={"topic": f"letters-{self.prefix}"},
            databases=[] if alone else [{"name": "shop", "type": "mysql",
                        "dsn": f"host=127.0.0.1 port={self.stack['MYSQL_PORT']} user={user} "
                               f"password='{password}' dbname=mks_finance_dw", **database}])

    def environment(self):
        return {**self.stack.environment(), "VERIFY_PASSWORD": "reads only",
                "XDG_STATE_HOME": str(self.sink.folder / "state")}

    def command(self, *arguments):
        return [self.sink.binary, "verify", "-c", self.sink.conf, *map(str, arguments)]

    def verify(self, *arguments, expect=None, timeout_s=180):
        """Exit code and report."""
        done = subprocess.run(self.command("--json", *arguments), text=True, capture_output=True,
                              timeout=timeout_s, env=self.environment())
        assert "Sanitizer" not in done.stderr, done.stderr
        assert expect is None or done.returncode == expect, done.stdout + done.stderr
        return done.returncode, json.loads(done.stdout)

    def verify_fails(self, *arguments, code):
        return self.sink.run("verify", "-c", self.sink.conf, *arguments, expect=code,
                             env=self.environment()).stderr

    def await_arrival(self):
        """Markers that are written last have come, in each partition that there is."""
        mark = f"m{time.time_ns()}"[:20]
        self.source.execute("insert into pairs values " + ", ".join(
            f"({-number - 1}, '{mark}', 1)" for number in range(64)))
        self.daemon.await_that(lambda: self.database.exists("pairs") and self.database.count(
            "pairs", f"b = '{mark}'") == 64, 120, "the markers")
        self.daemon.await_that(
            lambda: all(self.database.exists(table) for table in (*TABLES, "words", "nokey")), 60,
            "the tables")

    @contextmanager
    def changes(self, rate=RATE):
        """So many changes a second, of rows and tables that are looked at too: each statement changes two
        of the first customers."""
        stop, made, failed = threading.Event(), [0], []

        def run():
            source = Source(self.stack)
            choose = random.Random(3)
            try:
                began = time.monotonic()
                while not stop.is_set():
                    rows = [(choose.randrange(10**6), choose.randrange(1, 40)) for _ in range(20)]
                    for income, key in rows:
                        source.execute("update customers set monthly_income = %s where "
                                       "customer_id in (%s, %s)", (income, key, key + 40))
                        made[0] += 2
                    source.execute("update pairs set v = mod(ifnull(v, 0), 1000) + 1 where a >= 0")
                    made[0] += 60
                    time.sleep(max(0, began + made[0] / rate - time.monotonic()))
            except Exception as error:  # noqa: BLE001
                failed.append(error)
            finally:
                source.close()

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
            for table in (*TABLES, "words", "nokey"):
                self.source.execute(f"drop table if exists {table}")
            self.source.close()
            self.database.close()
            drop_database(self.stack, self.database.name)


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory):
    world = World(stack, tmp_path_factory.mktemp("verify"))
    world.begin()
    yield world
    world.close()


def found(report):
    """(table, kind, key, columns that differ), of all differences."""
    return sorted(
        (table["table"].split(".")[1], difference["kind"],
         *(difference["key"].values()), *sorted(c["column"] for c in difference["columns"]))
        for table in report["tables"] for difference in table["differences"])


def test_equal(world):
    code, report = world.verify(expect=EQUAL)
    tables = {table["table"].split(".")[1]: table for table in report["tables"]}
    assert set(tables) == {*TABLES, "words", "nokey"}
    assert {name: table["method"] for name, table in tables.items()} == {
        "customers": "ranges of the key", "every_type": "ranges of the key",
        "pairs": "keys of each side", "words": "keys of each side", "nokey": "a multiset of rows"}
    assert tables["every_type"]["source_rows"] == tables["every_type"]["target_rows"] > 50
    for name in ("pairs", "words"):  # each row once, though the other side's are looked up for both
        assert 0 < tables[name]["target_rows"] <= tables[name]["source_rows"], tables[name]


# A wrong value for a column of each family of types: in the target's SQL.
WRONG = {
    "c_tiny": "coalesce(c_tiny, 0) # 1", "c_usmall": "coalesce(c_usmall, 0) # 1",
    "c_uint": "coalesce(c_uint, 0) # 1", "c_big": "coalesce(c_big, 0) # 1",
    "c_ubig": "coalesce(c_ubig, 0) + 1", "c_float": "coalesce(c_float, 0) + 1",
    "c_double": "coalesce(c_double, 0) + 1", "c_dec": "coalesce(c_dec, 0) + 0.0000000001",
    "c_dec0": "coalesce(c_dec0, 0) + 1", "c_bit1": "not coalesce(c_bit1, false)",
    "c_bit20": "~coalesce(c_bit20, b'00000000000000000001')",
    "c_date": "coalesce(c_date, '2000-01-01') + 1",
    "c_time": "coalesce(c_time, '0') + '1 second'", "c_dt3": "coalesce(c_dt3, '2000-01-01') + '1 ms'",
    "c_dt6": "coalesce(c_dt6, '2000-01-01') + '1 us'",
    "c_ts6": "coalesce(c_ts6, '2000-01-01') + '1 us'", "c_year": "coalesce(c_year, 0) + 1",
    "c_varchar": "coalesce(c_varchar, '') || ' '", "c_text": "case when c_text is null then '' end",
    "c_blob": r"coalesce(c_blob, '\x') || '\x00'", "c_enum": "case c_enum when 'a' then 'b' else 'a' end",
    "c_set": "case c_set when 'x' then 'y' else 'x' end",
    "c_json": """case when c_json = '{"other": 1}' then '{}' else '{"other": 1}' end::jsonb""",
}


def plant(world):
    """Differences, and what is to be said of them."""
    database, expected = world.database, []
    keys = [row[0] for row in world.source.execute("select id from every_type order by id")]
    for key, (column, wrong) in zip(keys, WRONG.items()):
        database.execute(f"update every_type set {column} = {wrong} where id = %s", key)
        expected.append(("every_type", "changed", str(key), column))
    database.execute("delete from every_type where id = %s", keys[-1])
    expected.append(("every_type", "missing", str(keys[-1])))
    database.execute("update every_type set cdc_operation = 'd' where id = %s", keys[-2])
    expected.append(("every_type", "missing", str(keys[-2])))
    database.execute("insert into every_type (id, cdc_operation) values (987654321, 'c')")
    expected.append(("every_type", "extra", "987654321"))
    database.execute("insert into customers (customer_id, full_name, cdc_operation) "
                     "values (-5, 'nobody', 'c'), (99999999, 'nobody', 'c')")
    expected += [("customers", "extra", "-5"), ("customers", "extra", "99999999")]
    database.execute("insert into words values ('Änna', 4), ('anna', 4)")
    database.execute("delete from words where word in ('côte', '😀')")
    database.execute("update words set n = n + 1 where word in ('~x', '日本')")
    expected += [("words", "extra", "Änna"), ("words", "extra", "anna"),
                 ("words", "missing", "côte"), ("words", "missing", "😀"),
                 ("words", "changed", "~x", "n"), ("words", "changed", "日本", "n")]
    database.execute("insert into pairs (a, b, v, cdc_operation) values (-999, 'x', 1, 'c')")
    expected.append(("pairs", "extra", "-999", "x"))
    database.execute("insert into nokey (a, b, c) values (1, 'new', 1)")
    database.execute("delete from nokey where ctid = (select ctid from nokey where b = 't3' limit 1)")
    return sorted(expected)


def nokey(report):
    return sorted((d["kind"], d["source_copies"] - d["target_copies"])
                  for table in report["tables"] if table["table"].endswith(".nokey")
                  for d in table["differences"])


def others(report):
    return [row for row in found(report) if row[0] != "nokey"]


@contextmanager
def planted(world):
    """As it was before, afterwards."""
    database = world.database
    for table in (*TABLES, "words", "nokey"):
        database.execute(f"create table kept_{table} as select * from {table}")
    try:
        yield plant(world)
    finally:
        for table in ("every_type", "words", "nokey"):
            database.execute(f"truncate {table}")
            database.execute(f"insert into {table} select * from kept_{table}")
        database.execute("delete from customers where full_name = 'nobody'")
        database.execute("delete from pairs where a = -999")
        for table in (*TABLES, "words", "nokey"):
            database.execute(f"drop table kept_{table}")


def test_planted_differences_while_changes_stream(world, report):
    with planted(world) as expected, world.changes() as made:
        for _ in range(2):
            code, told = world.verify(expect=DIFFERS)
            assert others(told) == expected
            for difference in told["tables"][1]["differences"]:
                if difference["kind"] == "changed":  # what wrote it last
                    assert difference["topic"] == f"{world.prefix}.mks_finance_dw.every_type"
                    assert int(difference["offset"]) >= 0 and int(difference["partition"]) >= 0
            assert nokey(told) == [("extra", -1), ("missing", 1)]
            assert not sum(table["unsettled"] for table in told["tables"])
        report(f"{made[0]} changes meanwhile")
    world.await_arrival()
    world.verify(expect=EQUAL)


def whys(report):
    return " ".join(table["why"] or "" for table in report["tables"])


@contextmanager
def paused(world):
    connect = Connect(world.stack["CONNECT_URL"])
    connect.insist("PUT", f"/connectors/{world.prefix}/pause")
    wait_for(lambda: connect.call("GET", f"/connectors/{world.prefix}/status")["tasks"][0]["state"]
             == "PAUSED", 30, "paused")
    try:
        yield
    finally:
        connect.insist("PUT", f"/connectors/{world.prefix}/resume")


def test_connector_that_lags_is_no_difference(world):
    """Its topics are read to their ends, and the source has rows that no record tells of."""
    key = world.source.execute("select min(id) from every_type")[0][0]
    with paused(world):
        world.source.execute("update customers set full_name = 'later' where customer_id < 10")
        world.source.execute("insert into words values ('later', 1)")
        world.source.execute("insert into nokey values (77, 'later', 1)")
        for mode in ("--full", "--counts"):
            code, report = world.verify("--wait", 1, mode, "customers", "words", "nokey",
                                        expect=CANT_TELL)
            assert not found(report) and "connector" in whys(report)
        # What the source did not touch since can be told all the same.
        world.database.execute("update every_type set c_small = 7 where id = %s", key)
        code, report = world.verify("--wait", 20, "every_type", expect=DIFFERS)
        assert found(report) == [("every_type", "changed", str(key), "c_small")]
    world.source.execute("update every_type set c_small = 8 where id = %s", (key,))
    world.verify(expect=EQUAL)


def test_stalled_daemon_is_no_difference(world):
    world.daemon.signal(signal.SIGSTOP)
    try:
        world.source.execute("update customers set full_name = 'stalled' where customer_id < 10")
        code, report = world.verify("--wait", 1, "customers", expect=CANT_TELL)
        assert not found(report)
        assert "the pipeline is behind" in whys(report)
    finally:
        world.daemon.signal(signal.SIGCONT)
    world.verify("customers", expect=EQUAL)


def test_killed_and_resumed(world):
    rows = ", ".join(f"({1000 + number}, 'row {number}')" for number in range(700))
    world.source.execute(f"insert into customers (customer_id, full_name) values {rows}")
    world.await_arrival()
    total = world.source.execute("select count(*) from customers")[0][0]
    world.configure(throttle=100)
    try:
        for number in (signal.SIGKILL, signal.SIGINT):
            resumed = ["--resume"] if number == signal.SIGINT else []
            process = subprocess.Popen(world.command("--json", "customers", *resumed),
                                       env=world.environment(), text=True, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            folder = world.sink.folder / "state" / "ods-sink"
            before = state_rows(folder)
            wait_for(lambda: state_rows(folder) >= before + 100, 60, "a state", 0.1)
            process.send_signal(number)
            output, errors = process.communicate(timeout=60)
            if number == signal.SIGINT:
                assert process.returncode == CANT_TELL and "--resume" in errors, output + errors
                assert json.loads(output)["tables"][0]["why"] == "interrupted"
        assert 200 <= state_rows(folder) < total
        # Behind the place where it goes on nothing is looked at again.
        world.database.execute("insert into customers (customer_id, full_name, cdc_operation) "
                               "values (-5, 'nobody', 'c')")
        world.configure()
        code, report = world.verify("customers", "--resume", expect=EQUAL)
        assert report["tables"][0]["source_rows"] == total
        assert not list(folder.iterdir())
        code, report = world.verify("customers", expect=DIFFERS)
        assert found(report) == [("customers", "extra", "-5")]
    finally:
        world.configure()
        world.database.execute("delete from customers where full_name = 'nobody'")


def state_rows(folder):
    """How many rows the state file says have been compared; -1: there is none."""
    for path in folder.glob("*.json") if folder.exists() else ():
        tables = json.loads(path.read_text())["tables"]
        return max((table["source_rows"] for table in tables.values()), default=0)
    return -1


def test_it_reads_less_while_changes_stream(world):
    rows = ", ".join(f"({5000 + number}, 'row {number}')" for number in range(300))
    world.source.execute(f"insert into customers (customer_id, full_name) values {rows}")
    world.await_arrival()

    def applied():
        return world.database.execute("select sum(next_offset) from ods_sink.offsets")[0][0]

    said = "changes stream into the target: its rows are read for 40 % of the time"
    try:
        for busy_share, streams in ((40, True), (100, True), (40, False)):
            world.configure(throttle=200, busy_share=busy_share)  # so that it takes some seconds
            with world.changes(rate=200) if streams else nullcontext():
                before = applied()
                wait_for(lambda: not streams or applied() > before + 200, 60, "the stream", 0.1)
                done = subprocess.run(world.command("customers"), text=True, capture_output=True,
                                      timeout=180, env=world.environment())
            assert done.returncode == EQUAL, done.stdout + done.stderr
            assert (said in done.stdout) == (streams and busy_share == 40), done.stdout
            world.await_arrival()
    finally:
        world.configure()


def test_modes(world):
    database = world.database
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    database.execute("update customers set email = 'wrong', cdc_timestamp = now() + '1 hour' "
                     "where customer_id = 1010")
    database.execute("update customers set email = 'old' where customer_id = 1011")
    try:
        for options in (["--since", since], ["--sample", 1000000]):
            code, report = world.verify("customers", *options, expect=DIFFERS)
            expected = [("customers", "changed", key, "email") for key in ("1010", "1011")]
            assert found(report) == (expected if "--sample" in options else expected[:1])
        world.verify("customers", "--counts", expect=EQUAL)
        code, report = world.verify("customers", "--sample", 50)
        assert 20 <= report["tables"][0]["source_rows"] <= 50
        database.execute("delete from customers where customer_id = 1012")
        code, report = world.verify("public.customers", "--counts", expect=DIFFERS)
        assert report["tables"][0]["missing"] == 1
        world.configure(tables={"customers": {"redact": ["email"]}})
        page = world.sink.folder / "report.html"
        done = world.sink.run("verify", "-c", world.sink.conf, "mks_finance_dw.customers",
                              "--report", page, expect=DIFFERS, env={"VERIFY_PASSWORD": "reads only"})
        assert "email: [redacted]" in done.stdout and "wrong" not in done.stdout + page.read_text()
        assert "reads only" not in done.stdout + done.stderr + page.read_text()
        assert "1010" in page.read_text()
        # Nor does a reason why the sink would not write a value quote it.
        world.source.execute("update customers set email = 'hidden@example.org' "
                             "where customer_id = 1010")
        world.await_arrival()
        database.execute("alter table customers rename email to email_kept")
        database.execute("alter table customers add email date")
        done = world.sink.run("verify", "-c", world.sink.conf, "mks_finance_dw.customers",
                              "--report", page, expect=DIFFERS, env={"VERIFY_PASSWORD": "reads only"})
        assert "the sink would not write it: column \"email\"" in done.stdout
        assert "hidden@" not in done.stdout + page.read_text()
    finally:
        if "email_kept" in dict(database.columns("customers")):
            database.execute("alter table customers drop email")
            database.execute("alter table customers rename email_kept to email")
        world.configure()
        world.source.execute("update customers set email = 'right' where customer_id in (1010, 1011)")
        world.source.execute("update customers set email = 'right' where customer_id = 1012")
        world.await_arrival()
    world.verify("customers", expect=EQUAL)


def test_without_a_source(world):
    world.configure(alone=True)
    try:
        done = world.sink.run("verify", "-c", world.sink.conf, expect=CANT_TELL,
                              env=world.environment())
    finally:
        world.configure()
    assert re.search(r"pipeline finance: \d+ topics with \d+ partitions; 0 of these have", done.stdout)
    assert re.search(r"table public.customers: \d+ rows, of these 0 marked deleted; newest change "
                     r"\d{4}-.*; 0 rows with NULL in their key", done.stdout)
    assert "public.nokey" in done.stdout and "it has no key" in done.stdout


def test_wrong_use_and_outages(world):
    world.verify_fails("nonsense", code=2)
    world.verify_fails("--source", "nowhere", code=2)
    world.configure(password="wrong")
    try:
        said = world.verify_fails(code=4)
        assert "Access denied" in said and "wrong" not in said.replace("Access", "")
    finally:
        world.configure()
