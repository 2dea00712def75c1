#!/usr/bin/python3
"""refused.py [ROUNDS]: how long batches with refused rows take, beside a clean one.

The cases of tests/fault/test_poison.py, which counts what they make PostgreSQL do. They take turns and
the median counts; what start, reading and decoding take, measured with the table left out, is taken off.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ["ODS_TEST_FULL"] = "1"  # PostgreSQL as it is outside of the tests
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "fault")]

from lib.postgres import create_database  # noqa: E402
from lib.records import Table, pipeline  # noqa: E402
from lib.sink import Setup, write_lines  # noqa: E402
from lib.stack import Stack  # noqa: E402
from test_poison import CASES, COLUMNS, TABLE, records  # noqa: E402


def replay(sink, database, path, skip=False):
    sink.write(pipeline(Table(columns=COLUMNS), defaults={"skip": skip}), database=database)
    database.execute(TABLE)
    letters = sink.folder / "letters.jsonl"
    letters.unlink(missing_ok=True)
    began = time.monotonic()
    sink.replay(path, dead_letter=letters)
    return (time.monotonic() - began) * 1000


def main(rounds):
    stack = Stack().up("postgres")
    try:
        database = create_database(stack, "ods_refused")
        with tempfile.TemporaryDirectory() as folder:
            sink = Setup(Path(folder), ROOT / "build" / "release" / "ods-sink", stack)
            paths = {case: sink.folder / f"{number}.jsonl" for number, case in enumerate(CASES)}
            for case, path in paths.items():
                write_lines(path, records(case))
            taken, reading = {case: [] for case in CASES}, []
            for _ in range(rounds):
                reading.append(replay(sink, database, paths["clean"], skip=True))
                for case, path in paths.items():
                    taken[case].append(replay(sink, database, path))
        database.close()
    finally:
        stack.close()
    fixed = statistics.median(reading)
    print(f"start, reading and decoding: {fixed:.0f} ms, taken off\n\n| batch | ms | of clean |\n|---|---|---|")
    clean = statistics.median(taken["clean"]) - fixed
    for case, times in taken.items():
        own = statistics.median(times) - fixed
        print(f"| {case} | {own:.0f} | {own / clean:.1f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
