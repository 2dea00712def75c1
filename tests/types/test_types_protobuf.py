"""Every case of types_cases.py once more in Protobuf: one as envelopes, with optional fields, the
next as flattened rows, with wrappers. Types have their names in the fields' parameters.

One replay takes all of them, with the schemas in a file in place of a registry. What can't be said
in Protobuf (a decimal as a number, a NULL in an array, an array in an array) has no case here.
"""

import json

import pytest

from lib.protobuf import Schemas
from test_types import NEEDED, create_extension, records, settings, table_name
from types_cases import CASES, REJECT

SHAPES = ("envelope", "flattened")


def in_protobuf(schemas, case, index, shape):
    made = [schemas.record(record) for record in records(case, index, shape)]
    return None if None in made else made


SCHEMAS = {shape: Schemas("optional" if shape == "envelope" else "wrapper", first=7 + number)
           for number, shape in enumerate(SHAPES)}
MADE = {(index, shape): made for index, case in enumerate(CASES) for shape in SHAPES[index % 2:index % 2 + 1]
        if (made := in_protobuf(SCHEMAS[shape], case, index, shape))}


@pytest.fixture(scope="module")
def outcome(stack, tmp_path_factory):
    from conftest import build
    from lib.postgres import create_database
    from lib.sink import Setup

    stack.up("postgres")
    database = create_database(stack, "ods_types_protobuf")
    for extension in ("hstore", "ltree", "citext", "isn"):
        database.execute(f"create extension {extension}")
    missing = {extension for extension in NEEDED if not create_extension(database, extension)}
    database.execute("create type types_mood as enum ('sad', 'ok')")
    database.execute("create domain types_price as numeric(5,2)")
    wanted = {(index, shape): made for (index, shape), made in MADE.items()
              if CASES[index].needs not in missing}
    for index, shape in wanted:
        database.execute(f"create table {table_name(index, shape)} "
                         f"(id int primary key, v {CASES[index].target})")
    folder = tmp_path_factory.mktemp("types-protobuf")
    dead = {}
    for shape in SHAPES:  # each with schemas of its own
        sink = Setup(folder / shape, build("asan"), stack)
        (folder / shape).mkdir()
        tables = {table_name(index, shape): settings(CASES[index]) for index, _ in wanted
                  if CASES[index].settings}
        sink.write({"name": "protobuf", "topics": [r"^types\.public\.case_.*"],
                    "format": "debezium-protobuf", "target": "ods",
                    "registry": {"url": SCHEMAS[shape].save(folder / shape / "schemas.json"),
                                 "cache": 10000},
                    "source": {"connector": "postgresql"}, "tables": tables,
                    "defaults": {"cdc_operation": "off", "cdc_timestamp": "off",
                                 "on_delete": "hard"}}, database=database)
        path = folder / f"dead-{shape}.jsonl"
        sink.replay([record for (_, own), made in wanted.items() if own == shape
                     for record in made], dead_letter=path)
        for line in path.read_text().splitlines():
            record = json.loads(line)
            dead.setdefault(record["topic"], []).append(record)
    yield database, dead, missing
    database.close()


def test_most_cases_can_be_said_in_protobuf():
    assert len(MADE) > 0.7 * len(CASES)


@pytest.mark.parametrize("index,shape", list(MADE),
                         ids=[f"{CASES[index].name}-{shape}" for index, shape in MADE])
def test_value(outcome, index, shape):
    database, dead, missing = outcome
    case = CASES[index]
    if case.needs in missing:
        pytest.skip(f"this PostgreSQL has no {case.needs}")
    table = table_name(index, shape)
    found = dict(database.execute(f"select id, v::text from {table}"))
    letters = dead.get(f"types.public.{table}", [])
    if case.connect["type"] in ("array", "map"):  # that it is NULL can't be said, so it is empty
        found.update({number: None for number in (3, 1 if case.expect is REJECT else 3)})
    if case.expect is REJECT:
        assert len(letters) == 2, f"rejects: {letters}; rows: {found}"
        assert found == {1: None, 3: None}
    elif case.target == "json":  # nested values are not spelled by the source, but by the sink
        assert not letters, letters
        assert json.loads(found[1]) == json.loads(found[2]) == json.loads(case.expect)
    else:
        assert not letters, letters
        assert found == {1: case.expect, 2: case.expect, 3: None}
