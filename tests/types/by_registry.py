"""Every case of types_cases.py in a format whose schemas a registry has: one replay takes all of them,
with the schemas in a file in place of the registry."""

import json

from test_types import NEEDED, create_extension, lack, records, settings, table_name
from types_cases import CASES, REJECT

SHAPES = ("envelope", "flattened")


def make(schemas, shapes_of=lambda index: SHAPES):
    """The records of each case and shape, where the format can say them. schemas: by shape."""
    made = {}
    for index, case in enumerate(CASES):
        for shape in shapes_of(index):
            own = [schemas[shape].record(record) for record in records(case, index, shape)]
            if None not in own:
                made[index, shape] = own
    return made


def replay(stack, folder, name, schemas, made):
    """A database with the rows, dead letters by topic, and the extensions that are not there."""
    from conftest import build
    from lib.postgres import create_database
    from lib.sink import Setup

    stack.up("postgres")
    database = create_database(stack, f"ods_{folder.name}".replace("-", "_"))
    for extension in ("hstore", "ltree", "citext", "isn"):
        database.execute(f"create extension {extension}")
    missing = {extension for extension in NEEDED if not create_extension(database, extension)}
    database.execute("create type types_mood as enum ('sad', 'ok')")
    database.execute("create domain types_price as numeric(5,2)")
    wanted = {(index, shape): own for (index, shape), own in made.items()
              if CASES[index].needs not in missing}
    for index, shape in wanted:
        database.execute(f"create table {table_name(index, shape)} "
                         f"(id int primary key, v {CASES[index].target})")
    dead = {}
    for shape in SHAPES:  # each with schemas of its own
        sink = Setup(folder / shape, build("asan"), stack)
        (folder / shape).mkdir()
        tables = {table_name(index, shape): settings(CASES[index]) for index, _ in wanted
                  if CASES[index].settings}
        sink.write({"name": name, "topics": [r"^types\.public\.case_.*"],
                    "format": f"debezium-{name}", "target": "ods",
                    "registry": {"url": schemas[shape].save(folder / shape / "schemas.json"),
                                 "cache": 10000},
                    "source": {"connector": "postgresql"}, "tables": tables,
                    "defaults": {"cdc_operation": "off", "cdc_timestamp": "off",
                                 "on_delete": "hard"}}, database=database)
        path = folder / f"dead-{shape}.jsonl"
        sink.replay([record for (_, own), sent in wanted.items() if own == shape
                     for record in sent], dead_letter=path)
        for line in path.read_text().splitlines():
            record = json.loads(line)
            dead.setdefault(record["topic"], []).append(record)
    return database, dead, missing


def check(outcome, index, shape, rows=lambda case, found: found):
    """The case's rows and letters are as it says. rows: what the format can't tell of them is mended."""
    database, dead, missing = outcome
    case = CASES[index]
    if case.needs in missing:
        lack(case)
    table = table_name(index, shape)
    found = rows(case, dict(database.execute(f"select id, v::text from {table}")))
    letters = dead.get(f"types.public.{table}", [])
    if case.expect is REJECT:
        assert len(letters) == 2, f"rejects: {letters}; rows: {found}"
        assert found == {1: None, 3: None}
    elif case.target == "json":  # nested values are not spelled by the source, but by the sink
        assert not letters, letters
        assert json.loads(found[1]) == json.loads(found[2]) == json.loads(case.expect)
    else:
        assert not letters, letters
        assert found == {1: case.expect, 2: case.expect, 3: None}
