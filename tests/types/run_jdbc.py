#!/usr/bin/env python3
"""The cases of types_cases.py through the Debezium JDBC sink: what it makes of each.

    tests/types/run_jdbc.py [NAME…]     all cases, or those whose names contain one of the words

Starts PostgreSQL, Kafka and Kafka Connect in a folder of its own and ends them. Each case has its
topic, its table and a connector, so that a task that ends takes no other case along. Writes
jdbc.json, which make_docs.py makes a column of docs/types.md from. Cases that differ by settings of
ods-sink alone are left out.
"""

import datetime
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from lib.connect import Connect  # noqa: E402
from lib.kafka import Kafka  # noqa: E402
from lib.postgres import administer, create_database  # noqa: E402
from lib.stack import Stack  # noqa: E402
from test_types import NEEDED, records  # noqa: E402
from types_cases import CASES  # noqa: E402

RESULTS = HERE / "jdbc.json"
SINK = "Debezium JDBC sink 3.3.1.Final"
TOGETHER = 12  # connectors at a time
PATIENCE_S = 40
SETTLED_S = 4  # all rows are there: what is to come of the update has come


def connector(stack, database, topic, table):
    converter = "org.apache.kafka.connect.json.JsonConverter"
    return {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "tasks.max": "1",
        "topics": topic, "collection.name.format": table,
        "connection.url": f"jdbc:postgresql://127.0.0.1:{stack['POSTGRES_PORT']}/{database.name}",
        "connection.username": "ods", "connection.password": stack["POSTGRES_PASSWORD"],
        "connection.pool.min_size": "1", "connection.pool.max_size": "2",
        "connection.pool.acquire_increment": "1",
        "insert.mode": "upsert", "primary.key.mode": "record_key", "schema.evolution": "none",
        "consumer.override.metadata.max.age.ms": "1000",
        "key.converter": converter, "value.converter": converter,
        "value.converter.replace.null.with.default": "false"}


def failure(connect, name):
    """The last cause of a task that has ended, or None."""
    for task in connect.insist("GET", f"/connectors/{name}/status")["tasks"]:
        if task["state"] == "FAILED":
            lines = task.get("trace", "").splitlines()
            causes = [line for line in lines if line.startswith("Caused by: ")] or lines[:1]
            return causes[-1].removeprefix("Caused by: ").split("\n")[0][:200]
    return None


def outcome(connect, database, number, started):
    """What became of one case so far; None: too early to tell."""
    rows = dict(database.execute(f"select id, v::text from case_{number}"))
    complete = len(rows) == 3 and rows[1] is not None and rows[2] is not None
    if complete:
        return {"became": rows[1]} if rows[1] == rows[2] else {"became": [rows[1], rows[2]]}
    cause = failure(connect, f"case-{number}")
    if cause:
        return {"stopped": cause}
    waited = time.monotonic() - started
    if len(rows) == 3 and waited > SETTLED_S + 10:
        return {"became": None}
    return {"became": "nothing"} if waited > PATIENCE_S else None


def run(stack, database, chosen):
    results = {}
    connect = Connect(stack["CONNECT_URL"])
    for start in range(0, len(chosen), TOGETHER):
        some = chosen[start:start + TOGETHER]
        for number in some:
            topic = f"types.public.case_jdbc_{number}"
            connect.insist("PUT", f"/connectors/case-{number}/config",
                           connector(stack, database, topic, f"case_{number}"))
        started, waiting = time.monotonic(), set(some)
        while waiting:
            time.sleep(0.5)
            for number in sorted(waiting):
                result = outcome(connect, database, number, started)
                if result is not None:
                    results[CASES[number].name] = result
                    waiting.discard(number)
        for number in some:
            connect.insist("DELETE", f"/connectors/case-{number}")
        print(f"{start + len(some)} of {len(chosen)} cases, {time.monotonic() - started:.0f} s",
              flush=True)
    return results


def main(words):
    stack = Stack()
    try:
        stack.run("fetch", "jdbc")
        stack.up("postgres", "kafka", "connect")
        database = create_database(stack, "types_jdbc")
        missing = set()
        for extension in ("hstore", "ltree", "citext", "isn", *NEEDED):
            if database.value("select count(*) from pg_available_extensions where name = %s",
                              extension):
                administer(stack, f"create extension {extension}", database.name)
            else:
                missing.add(extension)
        database.execute("create type types_mood as enum ('sad', 'ok')")
        database.execute("create domain types_price as numeric(5,2)")
        chosen = [number for number, case in enumerate(CASES)
                  if not case.settings and case.needs not in missing and
                  (not words or any(word in case.name for word in words))]
        kafka = Kafka(stack)
        for number in chosen:
            database.execute(f"create table case_{number} "
                             f"(id int primary key, v {CASES[number].target})")
            kafka.create(f"types.public.case_jdbc_{number}", 1)
            kafka.produce([{**record, "topic": f"types.public.case_jdbc_{number}"}
                           for record in records(CASES[number], number, "envelope")])
        results = run(stack, database, chosen)
        database.close()
    finally:
        stack.close()
    known = json.loads(RESULTS.read_text())["cases"] if words and RESULTS.exists() else {}
    names = {case.name for case in CASES}
    cases = {name: one for name, one in sorted({**known, **results}.items()) if name in names}
    RESULTS.write_text(json.dumps({"sink": SINK, "date": str(datetime.date.today()),
                                   "cases": cases}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
