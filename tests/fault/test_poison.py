"""What refused rows cost, in rows that PostgreSQL writes and in round trips: with one among 10,000 half
as many rows again and some round trips more than the clean batch, with one in 10 some for each; the
rest goes in. How long that takes, bench/refused.py measures.
"""

import pytest
from lib.records import BIGINT, INT, TEXT, Table, pipeline
from lib.sink import read_lines, write_lines
from lib.size import size
from lib.waiting import wait_for
from lib.wire import Wire

ROWS = 10_000
ROWS_OF_MANY = size("REFUSED_ROWS", 2_000, 10_000)  # of which one in 10 is refused: each costs statements
CASES = {  # why: the places of the bad rows
    "clean": [],
    "check": [7_000],
    "check, the last": [ROWS - 1],
    "encoder": [7_000],
    "unique": [7_000],
    "check, 1 in 10": range(5, ROWS_OF_MANY, 10),
    "encoder, 1 in 10": range(5, ROWS_OF_MANY, 10),
    "unique, 1 in 10": range(5, ROWS_OF_MANY, 10),
}
BAD = {"check": {"amount": -1}, "encoder": {"amount": 2**40}, "unique": {"email": "taken"}}
COLUMNS = {"id": INT, "name": TEXT, "email": TEXT, "amount": BIGINT}
TABLE = """drop table if exists items; drop schema if exists ods_sink cascade;
    create table items (id int primary key, name text, email text unique,
                        amount int check (amount >= 0), cdc_operation text, cdc_timestamp timestamp);
    insert into items values (-1, 'holds it', 'taken', 1)"""


def rows_of(case):
    return ROWS_OF_MANY if len(CASES[case]) > 1 else ROWS


def records(case):
    table, why, bad = Table(columns=COLUMNS, schemas=False), case.split(",")[0], set(CASES[case])
    for number in range(rows_of(case)):
        row = {"id": number, "name": f"name of {number}", "email": f"{number}@example", "amount": 1}
        yield table.create({**row, **BAD[why]} if number in bad else row)


@pytest.fixture
def cost(sink, database, stack):
    """A function that applies a case's records to an empty table: rows written, those of steps that
    were undone too, statements and round trips."""
    def run(case):
        path, letters = sink.folder / "records.jsonl", sink.folder / "letters.jsonl"
        write_lines(path, records(case))
        letters.unlink(missing_ok=True)
        database.execute(TABLE)
        with Wire(stack["POSTGRES_PORT"]) as wire:
            sink.write(pipeline(Table(columns=COLUMNS)), targets=[{
                "name": "ods", "type": "postgres", "dsn": database.dsn.replace(
                    stack["POSTGRES_PORT"], str(wire.port)) + " sslmode=disable gssencmode=disable"}])
            sink.replay(path, dead_letter=letters)
        assert database.count("items") == rows_of(case) + 1 - len(CASES[case])
        assert len(read_lines(letters) if letters.exists() else []) == len(CASES[case])
        # A connection's figures are there when it is gone; one's own on demand.
        wait_for(lambda: database.value("select count(*) from pg_stat_activity where datname = "
                                        "current_database() and pid <> pg_backend_pid()") == 0)
        database.execute("select pg_stat_force_next_flush()")
        written = database.value("select n_tup_ins + n_tup_upd from pg_stat_user_tables "
                                 "where relname = 'items'") - 1
        return written, wire.statements, wire.round_trips

    return run


def test_what_refused_rows_cost(cost, report):
    costs = {case: cost(case) for case in CASES}
    for case, (written, statements, round_trips) in costs.items():
        report(f"{case}: {written} rows written, {statements} statements, {round_trips} round trips")
    written, statements, round_trips = costs.pop("clean")
    assert written == ROWS
    for case, found in costs.items():
        bad = len(CASES[case])
        most = (2 * written, statements + 30, round_trips + 30) if bad == 1 else \
            (3 * ROWS_OF_MANY, statements + 35 * bad, round_trips + 15 * bad)
        assert all(one <= limit for one, limit in zip(found, most)), (case, found, most)
