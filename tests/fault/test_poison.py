"""What refused rows cost: a batch with one among 10,000 takes less than twice the time of a clean one,
and with one in 10 the rest still goes in.

The cases take turns and the median counts, since the machine may be busy. What reading and decoding
take, which is the same for all, is measured with the table left out and taken off.
"""

import os
import statistics
import time

import pytest
from lib.records import BIGINT, INT, TEXT, Table, pipeline
from lib.sink import read_lines, write_lines

ROWS = 10_000
ROUNDS = int(os.environ.get("ODS_TEST_ROUNDS", 5))
LETTER_S = 0.03  # a dead letter's own cost: its file is made, written, synced
LEAST_ROWS_PER_S = 500
CASES = {  # why: the places of the bad rows
    "clean": [],
    "check": [7_000],
    "check, the last": [ROWS - 1],
    "encoder": [7_000],
    "unique": [7_000],
    "check, 1 in 10": range(5, ROWS, 10),
    "encoder, 1 in 10": range(5, ROWS, 10),
    "unique, 1 in 10": range(5, ROWS, 10),
}
BAD = {"check": {"amount": -1}, "encoder": {"amount": 2**40}, "unique": {"email": "taken"}}
COLUMNS = {"id": INT, "name": TEXT, "email": TEXT, "amount": BIGINT}


def records(table, why, places):
    bad = set(places)
    for number in range(ROWS):
        row = {"id": number, "name": f"name of {number}", "email": f"{number}@example", "amount": 1}
        yield table.create({**row, **BAD[why]} if number in bad else row)


@pytest.fixture
def replay(sink, database):
    """A function that applies a case's records to an empty table: seconds, and the dead letters."""
    files = {case: sink.folder / f"{number}.jsonl" for number, case in enumerate(CASES)}
    for case, path in files.items():
        table = Table(columns=COLUMNS, schemas=False)
        write_lines(path, records(table, case.split(",")[0], CASES[case]))

    def run(case, skip=False):
        sink.write(pipeline(Table(columns=COLUMNS), defaults={"skip": skip}), database=database)
        database.execute(
            "drop table if exists items; drop schema if exists ods_sink cascade; create table items "
            "(id int primary key, name text, email text unique, amount int check (amount >= 0), "
            "cdc_operation text, cdc_timestamp timestamp); "
            "insert into items values (-1, 'holds it', 'taken', 1)")
        letters = sink.folder / "letters.jsonl"
        letters.unlink(missing_ok=True)
        began = time.monotonic()
        sink.replay(files[case], dead_letter=letters)
        seconds = time.monotonic() - began
        if not skip:
            assert database.count("items") == ROWS + 1 - len(CASES[case])
            assert len(read_lines(letters) if letters.exists() else []) == len(CASES[case])
        return seconds

    return run


def test_what_refused_rows_cost(replay, report):
    taken = {case: [] for case in CASES}
    reading = []
    for _ in range(ROUNDS):
        reading.append(replay("clean", skip=True))
        for case in CASES:
            taken[case].append(replay(case))
    fixed = statistics.median(reading)
    report(f"reading and decoding: {fixed * 1000:.0f} ms, not in what follows")
    median = {case: statistics.median(seconds) - fixed for case, seconds in taken.items()}
    for case, seconds in median.items():
        report(f"{case}: {seconds * 1000:.0f} ms, {seconds / median['clean']:.2f} of clean")
    for case, places in CASES.items():
        most = 2 * median["clean"] + LETTER_S if len(places) < 2 else ROWS / LEAST_ROWS_PER_S
        assert median[case] < most, case
