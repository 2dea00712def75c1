"""Every kind of value into every type of MySQL's and MariaDB's columns, and into the column that
ods-sink makes for it. What each must become stands in mysql_cases.py, and so in docs/types-mysql.md."""

import json
import struct as packing
from decimal import Decimal

import pytest

from lib.mysql_target import FLAVOURS, Database, Server
from lib.records import INT
from mysql_cases import KINDS, TARGETS, expected
import make_mysql_docs

CLOCK = 1_760_000_000_000


LOADED = 120  # rows of a snapshot, so many that they go by LOAD DATA
REPLACED = 820  # updates, of which one batch of two has so many that they go by LOAD DATA … REPLACE
LOADS = [number for number, name in enumerate(KINDS) if name in (
    "boolean", "int64 of bigint unsigned", "float32", "string to be escaped", "bytes", "decimal",
    "string with a character beyond the BMP", "time beyond 24 h", "timestamp us", "year", "bits",
    "json", "set", "geometry", "uuid")]
REPLACES = [number for number, name in enumerate(KINDS) if name in (
    "string to be escaped", "bytes", "time beyond 24 h", "bits", "json")]


def envelope(table, fields, row, offset, operation="c"):
    topic = f"m.shop.{table}"
    image = {"type": "struct", "fields": fields, "optional": True}
    schema = {"type": "struct", "optional": False, "name": topic + ".Envelope", "fields": [
        {**image, "field": "before"}, {**image, "field": "after"},
        {"type": "struct", "fields": [], "optional": False, "field": "source"},
        {"type": "string", "optional": False, "field": "op"}]}
    payload = {"before": None, "op": operation, "after": row,
               "source": {"connector": "mysql", "name": "m", "ts_ms": CLOCK, "db": "shop",
                          "table": table}}
    key = {"schema": {"type": "struct", "fields": fields[:1], "optional": False},
           "payload": {"id": row["id"]}}
    return {"topic": topic, "partition": 0, "offset": offset, "ts": CLOCK, "headers": [],
            "key": json.dumps(key),
            "payload": json.dumps({"schema": schema, "payload": payload})}


def records(number, name, mariadb):
    """A record for each target: its own column has the value, the others are NULL. Then rows of a
    snapshot, and updates, with each value that is taken in one row; and one of a table that is to be
    made."""
    kind = KINDS[name]
    names = [f"v{place}" for place in range(len(TARGETS))]
    identity = {**INT, "optional": False, "field": "id"}
    fields = [identity] + [{**kind.schema, "optional": True, "field": column}
                           for column in names]
    for place, own in enumerate(names):
        row = {"id": place, **{other: kind.value if other == own else None for other in names}}
        yield envelope(f"kind_{number}", fields, row, place)
    taken = {column: kind.value if expected(name, target, mariadb) else None
             for column, target in zip(names, TARGETS)}
    for table, operation, count in [("load", "r", LOADED if number in LOADS else 0),
                                    ("replace", "u", REPLACED if number in REPLACES else 0)]:
        for place in range(count):
            yield envelope(f"{table}_{number}", fields, {"id": place, **taken}, place, operation)
    fields = [identity, {**kind.schema, "optional": True, "field": "v"}]
    yield envelope(f"made_{number}", fields, {"id": 1, "v": kind.value}, 0)


def shown(target, column):
    """SQL for the column's text."""
    if target.startswith("bit"):
        return f"cast({column} + 0 as char)"
    if target.startswith(("binary", "varbinary")) or target.endswith("blob"):
        return f"lower(hex({column}))"
    if target in ("point", "geometry"):
        return f"concat(st_srid({column}), ' ', st_astext({column}))"
    if target in ("float", "double"):
        return f"cast({column} + 0e0 as char)"
    return f"cast({column} as char)"


@pytest.fixture(scope="module", params=FLAVOURS)
def outcome(request, tmp_path_factory):
    from conftest import build
    from lib.sink import Setup

    class NoStack:
        def environment(self):
            import os
            return dict(os.environ)

    server = Server(request.param)
    request.addfinalizer(server.close)  # also where what follows fails
    database = Database(server, "ods_types")
    lines = []
    columns = ", ".join(f"v{place} {target} null" for place, target in enumerate(TARGETS))
    for number, name in enumerate(KINDS):
        for table in ("kind", "load", "replace"):
            database.execute(f"create table {table}_{number} (id int primary key, {columns})")
        database.execute(f"insert into replace_{number} (id) values "
                         f"{', '.join(f'({place})' for place in range(0, REPLACED, 2))}")
        lines += records(number, name, request.param == "mariadb")
    database.execute("set global log_output = 'TABLE'")
    database.execute("set global general_log = 1")
    folder = tmp_path_factory.mktemp("mysql-types")
    sink = Setup(folder, build("asan"), NoStack())
    sink.write({"name": "m", "topics": [r"^m\.shop\..*"], "format": "debezium", "target": "ods",
                "defaults": {"cdc_operation": "off", "cdc_timestamp": "off", "on_delete": "hard"}},
               targets=[database.target()])
    sink.replay(lines, dead_letter=folder / "dead.jsonl", timeout_s=600)
    letters = {}
    for line in (folder / "dead.jsonl").read_text().splitlines():
        letter = json.loads(line)
        letters[letter["topic"], letter["offset"]] = letter
    yield request.param, database, letters
    database.close()


def same(target, found, wanted):
    if found is None or wanted is None or found == wanted:
        return found == wanted
    if target == "float":
        return packing.pack("f", float(found)) == packing.pack("f", float(wanted))
    if target == "double":
        return float(found) == float(wanted)
    if target == "json":
        return json.loads(found, parse_float=Decimal) == json.loads(wanted, parse_float=Decimal)
    return False


@pytest.mark.parametrize("number,name", enumerate(KINDS))
def test_each_cell(outcome, number, name):
    flavour, database, letters = outcome
    wrong = []
    columns = ", ".join(shown(target, f"v{place}") for place, target in enumerate(TARGETS))
    rows = {row[0]: row[1:] for row in database.execute(f"select id, {columns} from kind_{number}")}
    for place, target in enumerate(TARGETS):
        wanted = expected(name, target, flavour == "mariadb")
        refused = (f"m.shop.kind_{number}", place) in letters
        found = rows[place][place] if place in rows else None
        right = refused if wanted is None else place in rows and not refused and (
            found is None if wanted == "NULL" else same(target, found, wanted))
        if not right:
            why = letters.get((f"m.shop.kind_{number}", place), {})
            wrong.append((target, found if place in rows else "refused", wanted or "refused",
                          why.get("error") or why.get("headers")))
    assert not wrong, wrong


def loads(database, table):
    return database.count("mysql`.`general_log", "argument like "
                          f"'load data%replace into table `ods_types`.`{table}` %'")


@pytest.mark.parametrize("table,count,number", [
    *(("load", LOADED, number) for number in LOADS),
    *(("replace", REPLACED, number) for number in REPLACES)])
def test_row_of_a_load(outcome, table, count, number):
    flavour, database, letters = outcome
    name = list(KINDS)[number]
    columns = ", ".join(shown(target, f"v{place}") for place, target in enumerate(TARGETS))
    rows = database.execute(f"select distinct {columns} from {table}_{number}")
    assert database.count(f"{table}_{number}") == count and len(rows) == 1
    assert bool(loads(database, f"{table}_{number}")) == (table == "replace")
    wanted = [expected(name, target, flavour == "mariadb") for target in TARGETS]
    wrong = [(target, found, text) for target, found, text in zip(TARGETS, rows[0], wanted)
             if not same(target, found, None if text == "NULL" else text)]
    assert not wrong, wrong


def normal(column_type, is_json):
    """Without the widths that some versions show."""
    name, _, rest = column_type.partition("(")
    if is_json:
        return "json"
    if name in ("smallint", "int", "bigint", "year") or \
            (name == "tinyint" and not rest.startswith("1)")):
        return name + (" unsigned" if "unsigned" in rest or "unsigned" in name else "")
    return column_type


@pytest.mark.parametrize("number,name", enumerate(KINDS))
def test_column_that_is_made(outcome, number, name):
    flavour, database, letters = outcome
    kind = KINDS[name]
    made = database.execute(
        "select column_type, column_name in (select constraint_name from "
        "information_schema.check_constraints where constraint_schema = database()) from "
        "information_schema.columns where table_schema = database() and table_name = %s and "
        "column_name = 'v'", (f"made_{number}",)) if flavour == "mariadb" else database.execute(
        "select column_type, column_type = 'json' from information_schema.columns "
        "where table_schema = database() and table_name = %s and column_name = 'v'",
        (f"made_{number}",))
    assert made, letters.get((f"m.shop.made_{number}", 0))
    assert normal(made[0][0], made[0][1] and kind.made == "json") == kind.made
    refused = (f"m.shop.made_{number}", 0) in letters
    lacking = name in make_mysql_docs.NOT_HELD or (
        flavour == "mysql" and name in make_mysql_docs.NOT_HELD_BY_JSON)
    assert refused == lacking, letters.get((f"m.shop.made_{number}", 0))


def test_page_is_not_stale():
    assert make_mysql_docs.PAGE.read_text() == make_mysql_docs.page(), \
        "run tests/types/make_mysql_docs.py"
