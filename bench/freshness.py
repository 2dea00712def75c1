#!/usr/bin/python3
"""What ods_sink.freshness costs the target: bench/freshness.py [ROUNDS]

The statement that moves a batch's offsets, as it is and without the column for freshness, in turns; and the one
that looks after idle partitions, with more and more of them. Told in processor time of PostgreSQL's session, so
that it may run beside other work.
"""

import os
import statistics
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ["ODS_TEST_FULL"] = "1"  # PostgreSQL as it is outside of the tests
sys.path.insert(0, str(ROOT / "tests"))

from lib.postgres import create_database  # noqa: E402
from lib.stack import Stack  # noqa: E402

CALLS, PARTITIONS = 2000, 3  # in a turn; of a batch
KEPT = ("next_offset = b.upto, updated_at = clock_timestamp(),",
        "complete_to = case when b.upto >= b.from_", "then nullif(greatest(o.complete_to, b.time_), '-infinity') end,")
MOVE = "select ods_sink.{}('bench', %s, %s, %s, %s, %s, '')"
FRESHEN = "select connector, beat_at from ods_sink.freshen('bench', %s, %s, %s, %s::text[], %s::timestamptz[])"
NOW = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)


class Session:
    """Statements of one session, and the processor time that it has taken in the server."""

    def __init__(self, database):
        self.connection = database.connect()
        self.cursor = self.connection.cursor()
        self.cursor.execute("set synchronous_commit = off")
        self.cursor.execute("select pg_backend_pid()")
        (self.pid,) = self.cursor.fetchone()

    def cpu_us(self):
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1000

    def run(self, sql, *values):
        self.cursor.execute(sql, values)
        return self.cursor.fetchall()


def make_the_other(session):
    """ods_sink.advance() that keeps no times, as advance_without()."""
    ((text,),) = session.run("select pg_get_functiondef('ods_sink.advance(text, text[], integer[], bigint[], bigint[], "
                             "timestamp with time zone[], text)'::regprocedure)")
    lines = text.replace("ods_sink.advance(", "ods_sink.advance_without(").splitlines()
    kept = [line for line in lines if not line.strip().startswith(KEPT[1:])]
    assert len(lines) - len(kept) == 2 and any(KEPT[0] in line for line in kept), "advance() has changed: see KEPT"
    session.cursor.execute("\n".join(kept))


def move(session, name, offset):
    """CALLS batches; answers µs of each."""
    topics = [f"shop.store.t{number}" for number in range(PARTITIONS)]
    before = session.cpu_us()
    for call in range(offset, offset + CALLS):
        session.run(MOVE.format(name), topics, [0] * PARTITIONS, [call] * PARTITIONS, [call + 1] * PARTITIONS,
                    [NOW + timedelta(milliseconds=call)] * PARTITIONS)
    return (session.cpu_us() - before) / CALLS


def batches(session, rounds):
    make_the_other(session)
    session.cursor.execute("delete from ods_sink.offsets where consumer_group = 'bench'")
    session.cursor.execute("insert into ods_sink.offsets (consumer_group, topic, partition, next_offset) "
                           f"select 'bench', 'shop.store.t' || n, 0, 0 from generate_series(0, {PARTITIONS - 1}) n")
    taken, offset = {"advance": [], "advance_without": []}, 0
    for turn in range(2 * (rounds + 1)):
        name = ("advance", "advance_without")[turn % 2]
        taken[name].append(move(session, name, offset))
        offset += CALLS
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def idle(session, count):
    """CPU, in ms, of a look after so many partitions whose connector has sent a heartbeat since."""
    session.cursor.execute("delete from ods_sink.offsets where consumer_group = 'bench'")
    session.cursor.execute(
        "insert into ods_sink.offsets (consumer_group, topic, partition, next_offset, complete_to) select 'bench', "
        f"'shop.store.t' || n, 0, 7, timestamptz '2026-01-01' from generate_series(1, {count}) n "
        "union all select 'bench', '__debezium-heartbeat.shop', 0, 7, timestamptz '2026-01-31 12:00+00'")
    session.cursor.execute("vacuum analyze ods_sink.offsets")
    topics, times = [f"shop.store.t{number}" for number in range(1, count + 1)], []
    for look in range(6):
        before = session.cpu_us()
        session.run(FRESHEN, topics, [0] * count, [7] * count, ["shop"], [NOW - timedelta(minutes=10 - look)])
        times.append((session.cpu_us() - before) / 1000)
    return statistics.median(times[1:])


def main(rounds):
    stack = Stack().up("postgres")
    try:
        database = create_database(stack, "ods_freshness")
        database.execute((ROOT / "sql" / "ods_sink.sql").read_text())
        session = Session(database)
        taken = batches(session, rounds)
        print(f"a batch of {PARTITIONS} partitions: {taken['advance']:.0f} µs with the times, "
              f"{taken['advance_without']:.0f} µs without")
        for count in (10, 100, 1000, 10000):
            took = idle(session, count)
            every_s = 3 + count * 0.005
            print(f"{count} idle partitions: {took:.2f} ms each {every_s:g} s, {took / every_s / 10:.3f} % of a core")
        database.close()
    finally:
        stack.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
