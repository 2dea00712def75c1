"""Every case of cases.py in every shape of record, alone and between rows that hold NULL.

One replay takes all of them: a topic and a table a case.
"""

import json
import re
from pathlib import Path

import pytest

from lib.postgres import administer
from lib.records import INT
from lib.set_up import lacking
from types_cases import CASES, DEFAULTS, REJECT, TYPE_OF, label
import make_docs

SHAPES = ("envelope", "lean", "flattened")


def table_name(index, shape):
    return f"case_{shape}_{index}"


def records(case, index, shape):
    """Three rows: NULL, the value, NULL; then the value again, as an update of the first row."""
    topic = f"types.public.{table_name(index, shape)}"
    fields = [{**INT, "optional": False, "field": "id"},
              {**case.connect, "optional": True, "field": "v"}]
    clock = 1_760_000_000_000
    rows = [("c", 1, None), ("c", 2, case.value), ("c", 3, None), ("u", 1, case.value)]
    for offset, (operation, number, value) in enumerate(rows):
        row = {"id": number, "v": value}
        source = {"connector": case.connector, "name": "types", "ts_ms": clock + offset,
                  "db": "types", "schema": "public", "table": table_name(index, shape)}
        if case.connector == "mysql":
            source["db"] = source.pop("schema")
        envelope = {"before": None, "after": row, "source": source, "op": operation,
                    "ts_ms": clock + offset}
        key, payload = {"id": number}, envelope
        if shape == "flattened":
            row = {**row, "__op": operation, "__source_ts_ms": clock + offset,
                   "__source_table": table_name(index, shape), "__deleted": "false"}
            payload = {"schema": {"type": "struct", "optional": False, "name": topic + ".Value",
                                  "fields": fields + [
                                      {"type": "string", "optional": True, "field": "__op"},
                                      {"type": "int64", "optional": True,
                                       "field": "__source_ts_ms"},
                                      {"type": "string", "optional": True,
                                       "field": "__source_table"},
                                      {"type": "string", "optional": True, "field": "__deleted"}]},
                       "payload": row}
        elif shape in ("envelope", "made"):
            image = {"type": "struct", "fields": fields, "optional": True}
            payload = {"schema": {"type": "struct", "optional": False, "name": topic + ".Envelope",
                                  "fields": [{**image, "field": "before"},
                                             {**image, "field": "after"},
                                             {"type": "struct", "fields": [], "optional": False,
                                              "field": "source"},
                                             {"type": "string", "optional": False, "field": "op"},
                                             {"type": "int64", "optional": True,
                                              "field": "ts_ms"}]},
                       "payload": envelope}
        if shape != "lean":  # "made" is an envelope
            key = {"schema": {"type": "struct", "optional": False, "name": topic + ".Key",
                              "fields": fields[:1]}, "payload": key}
        yield {"topic": topic, "partition": 0, "offset": offset, "ts": clock, "headers": [],
               "key": json.dumps(key),
               "payload": re.sub(r'"RAW:([^"]*)"', r"\1", json.dumps(payload))}


def kinds():
    """A case of each kind for which ods-sink makes a column: one of that very type, if any."""
    found = {}
    for fitting in (True, False):
        for index, case in enumerate(CASES):
            default = DEFAULTS.get(label(case), "")
            if not fitting or (
                    case.expect is not REJECT and (default + " ").startswith(case.target + " ")):
                found.setdefault(label(case), index)
    return found


KINDS = kinds()


def settings(case):
    """For tables.yaml; a source type alone is that of the column."""
    kind = case.settings.get("source_types")
    return {**case.settings, **({"source_types": {"v": kind}} if kind else {})}


NEEDED = {case.needs for case in CASES if case.needs}


def lack(case):
    """scripts/setup installs PostGIS, and no other that is not in PostgreSQL's own."""
    why = f"this PostgreSQL has no {case.needs}"
    lacking(why) if case.needs == "postgis" else pytest.skip(why)


def create_extension(database, extension):
    """False: this server does not have it. The stack's owner of databases is no superuser."""
    if not database.value("select count(*) from pg_available_extensions where name = %s",
                          extension):
        return False
    administer(database.stack, f"create extension {extension}", database.name)
    return True


def wanted():
    for index, case in enumerate(CASES):
        for shape in SHAPES:
            if case.lean or shape != "lean":
                yield index, case, shape


def made():
    """As above, of tables that ods-sink is to make."""
    for number in KINDS.values():
        yield number, CASES[number]


@pytest.fixture(scope="module")
def outcome(stack, tmp_path_factory, request):
    """case and shape -> (texts of rows 1, 2, 3), and the dead letters by topic."""
    from conftest import build
    from lib.postgres import create_database
    from lib.sink import Setup

    stack.up("postgres")
    database = create_database(stack, "ods_types")
    for extension in ("hstore", "ltree", "citext", "isn"):
        database.execute(f"create extension {extension}")
    missing = {extension for extension in NEEDED if not create_extension(database, extension)}
    database.execute("create type types_mood as enum ('sad', 'ok')")
    database.execute("create domain types_price as numeric(5,2)")
    lines = []
    for index, case, shape in wanted():
        if case.needs in missing:
            continue
        database.execute(f"create table {table_name(index, shape)} "
                         f"(id int primary key, v {case.target})")
        lines += records(case, index, shape)
    for index, case in made():
        lines += records(case, index, "made")
    folder = tmp_path_factory.mktemp("types")
    sink = Setup(folder, build("asan"), stack)
    pipelines = [{"name": connector, "topics": [r"^types\.public\.case_.*"], "format": "debezium",
                  "target": "ods", "source": {"connector": connector},
                  "tables": {table_name(index, shape): settings(case)
                             for index, case in enumerate(CASES) if case.settings
                             for shape in (*SHAPES, "made")},
                  "defaults": {"cdc_operation": "off", "cdc_timestamp": "off",
                               "on_delete": "hard"}}
                 for connector in ("postgresql",)]
    sink.write(*pipelines, database=database)
    dead_path = folder / "dead.jsonl"
    summary = sink.replay(lines, dead_letter=dead_path)
    dead = {}
    if dead_path.exists():
        for line in dead_path.read_text().splitlines():
            record = json.loads(line)
            dead.setdefault(record["topic"], []).append(record)
    yield database, dead, missing
    database.close()


@pytest.mark.parametrize("index,case,shape", list(wanted()),
                         ids=[f"{case.name}-{shape}" for _, case, shape in wanted()])
def test_value(outcome, index, case, shape):
    database, dead, missing = outcome
    if case.needs in missing:
        lack(case)
    table = table_name(index, shape)
    found = dict(database.execute(f"select id, v::text from {table}"))
    letters = dead.get(f"types.public.{table}", [])
    if case.expect is REJECT:
        assert len(letters) == 2, f"rejects: {letters}; rows: {found}"
        assert found == {1: None, 3: None}
    else:
        assert not letters, letters
        assert found == {1: case.expect, 2: case.expect, 3: None}


@pytest.mark.parametrize("kind", KINDS)
def test_default_type(outcome, kind):
    """And the value goes into the column that was made for it."""
    database, dead, missing = outcome
    table = table_name(KINDS[kind], "made")
    default = "text" if TYPE_OF.get(DEFAULTS[kind]) in missing else DEFAULTS[kind]
    assert database.columns(table)["v"] == default
    assert f"types.public.{table}" not in dead


def test_page_is_not_stale():
    assert make_docs.PAGE.read_text() == make_docs.page(), "run tests/types/make_docs.py"


def test_tests_that_the_list_of_cases_names_are_there():
    tests = Path(__file__).parents[1]
    for line in (tests / "types/COVERAGE.md").read_text().splitlines():
        file = None
        for word in re.findall(r"`([^`]+)`", line) if re.match(r"\| [A-Z]\d", line) else ():
            if word.startswith(("integration/", "golden/", "e2e/", "unit/")):
                file = tests / word
                assert file.is_file(), line
            elif file:
                assert re.search(rf"^(def|static void) {word}\(", file.read_text(), re.M), line
