"""The daemon under ThreadSanitizer: a load with dead letters and transforms in Lua, each lane with its
state, lost connections, pages that are asked for all the while, a second member that joins and leaves, an
orderly end.

Every log is searched for findings when the test ends.
"""

import threading

from conftest import build
from lib.records import Table, pipeline
from lib.sink import Setup
from lib.size import size
from lib.stack import ROOT

EVENTS = size("THREAD_EVENTS", 4_000, 8_000)
PARTITIONS = 4
BAD = range(0, EVENTS, 400)  # amounts that the table refuses
LEFT_OUT = range(200, EVENTS, 400)
TRANSFORMS = [{"filter": {"lua": "after.id % 400 ~= 200"}},
              {"set": {"name": {"lua": "decimal.add(after.amount, '0.5') .. ' ' .. source.topic"}}},
              {"script": "same.lua"}, {"dedupe": {"window": 100}}]
SCRIPT = "local seen = 0\nfunction change(c) seen = seen + 1; c.after.name = c.after.name:upper() return c end\n"


class Troubled:
    """Meanwhile: every page of the daemon is read, and its connections are ended by the server."""

    def __init__(self, daemon, database):
        self._daemon, self._database = daemon, database
        self._over = threading.Event()
        self._threads = [threading.Thread(target=part) for part in (self._read, self._end)]
        self.pages = self.ended = 0

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _read(self):
        while not self._over.wait(0.05):
            for page in ("/metrics", "/status", "/readyz", "/healthz"):
                self.pages += self._daemon.get(page)[0] in (200, 503)

    def _end(self):
        connection = self._database.connect()
        while not self._over.wait(1):
            with connection.cursor() as cursor:
                cursor.execute("select pg_terminate_backend(pid) from pg_stat_activity where "
                               "datname = current_database() and application_name like 'ods-sink%'")
                self.ended += cursor.rowcount
        connection.close()


def test_rebalances_without_a_race(database, kafka, prefix, stack, tmp_path):
    program = build("tsan")
    assert program.exists(), f"{program} is not built: scripts/test"
    # ThreadSanitizer wants its own places in memory, which randomised addresses may take.
    wrapper = tmp_path / "ods-sink-tsan"
    wrapper.write_text(f'#!/bin/sh\nexec setarch -R "{program}" "$@"\n')
    wrapper.chmod(0o755)
    table = Table(prefix=prefix)
    kafka.create(table.topic, PARTITIONS)
    letters = kafka.create(f"{prefix}.letters", 1)
    database.execute("create table items (id int primary key, name text, amount int "
                     "check (amount >= 0), cdc_operation text, cdc_timestamp timestamp)")
    sink = Setup(tmp_path / "sink", wrapper, stack)
    settings = pipeline(table, transforms=TRANSFORMS)
    sink.write(settings, database=database, kafka=True, lanes=2,
               batch={"max_events": 100}, dead_letter={"topic": letters})
    (sink.folder / "same.lua").write_text(SCRIPT)
    suppressions = ROOT / "tests" / "support" / "tsan.supp"
    env = {"TSAN_OPTIONS": f"suppressions={suppressions} history_size=4"}

    def rows(first, count):
        return [table.create({"id": number, "name": f"n{number}",
                              "amount": -1 if number in BAD else number},
                             partition=number % PARTITIONS)
                for number in range(first, first + count)]

    def applied():
        return sum(database.offsets().values())

    try:
        first = sink.daemon(env=env)
        kafka.produce(rows(0, EVENTS // 2))
        first.await_that(lambda: applied() > 0, 60, "the first rows")
        sink.write(settings, database=database, kafka=True, lanes=2,
                   batch={"max_events": 100}, dead_letter={"topic": letters}, http={"listen": ""})
        with Troubled(first, database) as troubled:
            second = sink.daemon(env=env)
            kafka.produce(rows(EVENTS // 2, EVENTS // 2))
            second.await_that(lambda: "assigned" in second.log(), 60, "an assignment")
            second.stop(timeout_s=40)
            first.await_that(lambda: applied() == EVENTS, 90, "the end")
        first.stop(timeout_s=40)
        assert database.count("items") == EVENTS - len(BAD) - len(LEFT_OUT)
        assert database.count("items", f"name <> (amount + 0.5) || upper(' {table.topic}')") == 0
        assert kafka.count(letters) >= len(BAD)  # a lost connection may tell one again
        assert troubled.pages and troubled.ended
    finally:
        sink.close()
