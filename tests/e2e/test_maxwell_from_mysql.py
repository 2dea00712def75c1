"""scripts/maxwell writes what Maxwell 1.44 wrote: the statements that Maxwell's captured records come
from (tests/golden/maxwell) are run again, on a MySQL of the same version, at the same seconds."""

import json
import re
import subprocess
import sys
from collections import defaultdict

import pymysql
import pytest
from conftest import GOLDEN, ROOT
from lib.sink import read_lines
from lib.waiting import wait_for

sys.path.insert(0, str(ROOT / "scripts"))

from binlog import java_text, tables, values  # noqa: E402

CAPTURED = GOLDEN / "maxwell"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DDL = re.compile(r"(create (database|table)|alter|rename table|drop table)\b")
# Maxwell parses statements, where this column is a varchar still; the server calls it by its new type.
SPELLINGS = [('{"type":"varbinary","name":"c_txtbin"', '{"type":"varchar","name":"c_txtbin"')]


def statements():
    """(statement, the second at which it was run)."""
    second = 1795228909
    for line in (CAPTURED / "changes.sql").read_text().splitlines():
        if line.startswith("-- updates"):
            second += 1
        if not line.startswith("--"):
            yield from ((part.strip(), second) for part in line.split(";") if part.strip())


class Server:
    """MySQL's root, and readers of its log that print records."""

    def __init__(self, stack, folder):
        self.stack, self.folder, self.readers = stack, folder, []
        self.connection = pymysql.connect(unix_socket=stack["MYSQL_SOCKET"], user="root",
                                          password="", charset="utf8mb4", autocommit=True)

    def run(self, statement, second=None):
        with self.connection.cursor() as cursor:
            if second:
                cursor.execute(f"set timestamp = {second}")
            cursor.execute(statement)
            return cursor.fetchall()

    def position(self):
        (name, position, *_), = self.run("show master status")
        return f"{name}:{position}"

    def read(self, *options):
        """The reader and the file of its lines, once it reads."""
        path, log = (self.folder / f"{len(self.readers)}.{end}" for end in ("jsonl", "log"))
        with open(path, "w") as out, open(log, "w") as error:
            reader = subprocess.Popen(
                [str(ROOT / "scripts" / "maxwell"), "--stdout", *options], stdout=out,
                stderr=error, env=self.stack.environment())
        self.readers.append(reader)
        wait_for(lambda: "maxwell: reads" in log.read_text() or reader.poll(), 120,
                   "the reader of MySQL's log")
        assert reader.poll() in (None, 0), log.read_text()
        return reader, path

    def close(self):
        for reader in self.readers:
            reader.terminate()
            reader.wait(10)
        self.run("drop database if exists app_producer")
        self.run("set global binlog_row_metadata = MINIMAL")
        self.connection.close()


@pytest.fixture(scope="module")
def made(stack, tmp_path_factory):
    """The server, and the file of the records, after all statements have been run."""
    server = Server(stack.up("mysql"), tmp_path_factory.mktemp("maxwell"))
    try:
        server.run("set global binlog_row_metadata = FULL")
        _, path = server.read("--topic", "app_producer.%{table}", "--ddl-topic",
                              "app_producer.ddl")
        run_all(server, path)
        yield server, path
    finally:
        server.close()


def run_all(server, path):
    """A definition is what the server has when the reader asks, so it is waited for."""
    definitions = 0
    for statement, second in statements():
        server.run(statement, second)
        if DDL.match(statement):
            definitions += 1
            wait_for(lambda: path.read_text().count('"topic": "app_producer.ddl"') == definitions,
                       30, lambda: f"the record of {statement[:60]}: {path.with_suffix('.log').read_text()}"
                     f"{path.read_text()[-500:]}")
    wanted = sum(len(rows) for rows in captured("app_producer.*").values())
    wait_for(lambda: path.read_text().count("\n") >= wanted, 30, f"{wanted} records")


def by_partition(lines):
    found = defaultdict(list)
    for line in lines:
        found[line["topic"], line["partition"]].append(
            (line["offset"], line["key"], line.get("payload", line.get("value"))))
    return found


def captured(names, bootstrap=False):
    """By topic and partition, without Maxwell's own table, and (or only) without its bootstraps."""
    lines = [line for path in sorted(CAPTURED.glob(names + ".jsonl")) for line in read_lines(path)
             if '"database":"maxwell"' not in line["value"]
             and ('"type":"bootstrap-' in line["value"]) == bootstrap]
    return by_partition(lines)


def alike(records, ts=False):
    """Without what is another one each time: a transaction's number, an UUID, (ts) the clock."""
    numbers = {}

    def plain(text):
        text = UUID.sub("<uuid>", text)
        text = re.sub(r'"xid":(\d+)', lambda xid: f'"xid":<{numbers.setdefault(xid[1], 0)}>', text)
        for ours, theirs in SPELLINGS:
            text = text.replace(ours, theirs)
        return re.sub(r'"ts":\d+', '"ts":<ts>', text) if ts else text

    return [(plain(key), plain(value)) for _, key, value in records]


def transactions(records):
    """Which rows, by topic, partition and offset, have one number."""
    groups = defaultdict(set)
    for place, rows in records.items():
        for number, (_, _, value) in enumerate(rows):
            if "xid" in json.loads(value):
                groups[json.loads(value)["xid"]].add((*place, number))
    return sorted(sorted(group) for group in groups.values())


def test_every_record_is_maxwells_by_its_bytes(made):
    ours, theirs = by_partition(read_lines(made[1])), captured("app_producer.*")
    assert set(ours) == set(theirs)
    for place, records in theirs.items():
        for mine, wanted in zip(alike(ours[place]), alike(records)):
            assert mine == wanted, place
        assert len(ours[place]) == len(records)
    assert transactions(ours) == transactions(theirs)


def test_bootstraps_are_maxwells(made):
    """All partitions' rows: a query's order is not the log's."""
    server, _ = made
    server.run("delete from app_producer.mx_types where id > 2")  # its bootstrap had a condition
    reader, path = server.read("--topic", "app_producer.%{table}", "--to-end", "--bootstrap",
                               "app_producer.orders", "--bootstrap", "app_producer.mx_types")
    assert reader.wait(60) == 0
    ours, theirs = by_partition(read_lines(path)), captured("app_producer.*", bootstrap=True)
    assert set(ours) == set(theirs)
    for place, records in theirs.items():
        assert alike(ours[place], ts=True) == alike(records, ts=True)


def test_the_zone_of_maxwells_java(made):
    server, _ = made
    start = server.position()
    for statement in (
            "insert into app_producer.mx_types (id, c_date, c_time, c_dt, c_dt6, c_ts, c_ts3, c_ts6)"
            " values (50, '2026-01-01', '07:00:00', '2026-01-01 07:00:00', '2026-01-01 "
            "07:00:00.000001', '2026-01-01', '2026-01-01 00:00:00.12', '2026-01-01 00:00:00.123456')",
            "update app_producer.mx_types set c_json = 'null' where id = 50",
            "update app_producer.mx_types set c_json = null where id = 50"):
        server.run(statement, 1795229039)
    options = ("--topic", "app_producer_tz.%{table}", "--time-zone", "Asia/Jakarta",
               "--no-commit-info", "--to-end")
    place = ("app_producer_tz.mx_types", 3)
    for more, bootstrap in ((("--from", start), False), (
            ("--bootstrap", "app_producer.mx_types"), True)):
        server.run("delete from app_producer.mx_types where id < 50")
        reader, path = server.read(*options, *more)
        assert reader.wait(60) == 0
        ours = alike(by_partition(read_lines(path))[place], ts=bootstrap)
        theirs = alike(captured("app_producer_tz.*", bootstrap)[place], ts=bootstrap)
        assert ours[:len(theirs)] == theirs


# ---- what the captured records do not have ------------------------------------------------------


@pytest.mark.parametrize("digits, text", [
    (0.001, "0.001"), (0.0009, "9.0E-4"), (1e7, "1.0E7"), (9999999.0, "9999999.0"),
    (-123.25, "-123.25"), (0.0, "0.0"), (-0.0, "-0.0"), (1.5e300, "1.5E300")])
def test_floats_are_javas(digits, text):
    assert java_text.java_float(repr(digits)) == text


@pytest.mark.parametrize("told, text", [
    ((False, "0000", 2), "0.00"), ((False, "0", 10), "0E-10"), ((True, "12", 9), "-1.2E-8"),
    ((False, "0000123", 9), "1.23E-7"), ((False, "1234567", 0), "1234567"),
    ((True, "0", 1), "0.0")])
def test_decimals_are_javas(told, text):
    assert java_text.decimal_text(*told) == text


@pytest.mark.parametrize("text", [
    "POINT (1 -2.5)", "POLYGON ((0 0, 1 0, 1 1, 0 0))", "MULTIPOINT ((1 2), (3 4))",
    "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))",
    "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
    "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))"])
def test_shapes_as_mysql_has_them(made, text):
    (raw,), = made[0].run(f"select st_geomfromtext('{text}')")
    assert values.geometry_text(raw[4:]) == text


def test_long_documents_and_values_of_other_types(made):
    """More than 64 KiB, so with long offsets; strings of more than 127 bytes; MySQL's own types."""
    server, _ = made
    wanted = {"a": ["x" * 200, -1, 70000, -3000000000, True, None, 1.5], "list": list(range(20000))}
    server.run("insert into app_producer.orders (customer, payload) values ('long', "
               f"'{json.dumps(wanted)}')")
    start = server.position()
    server.run("update app_producer.orders set amount = 7 where customer = 'long'")
    server.run("update app_producer.orders set payload = json_array(cast('2026-01-02' as date), cast("
               "'2026-01-02 03:04:05.06' as datetime(6)), cast('-30:00:00' as time), 10.50, -0.01, "
               "1e-20, 1e15, '😀', cast('x' as binary)) where customer = 'long'")
    reader, path = server.read("--topic", "t", "--to-end", "--from", start)
    assert reader.wait(60) == 0
    long, other = (line["payload"] for line in read_lines(path))
    assert json.loads(long)["data"]["payload"] == wanted
    told = other[other.index('"payload":') + 10:other.index(',"flag"')]
    assert told.startswith('["2026-01-02","2026-01-02 03:04:05.06","-30:00:00",10.50,-0.01,0.000000'
                           '00000000000000999'), told
    assert told.endswith(',1000000000000000,"😀","eA=="]')


@pytest.mark.parametrize("sql, told", [
    ("drop table if exists a, `b c`.`d`", [("table-drop", "a"), ("table-drop", "d")]),
    ("/* x */ DROP DATABASE shop", [("database-drop", None)]),
    ("truncate table a", []), ("create index i on a (b)", []), ("create user x", [])])
def test_statements_that_make_records(sql, told):
    found = tables.statements_of(sql, "shop", tables.Catalog(lambda *_: []))
    assert [(members["type"], table) for _, table, members in found] == told
