"""The daemon under ThreadSanitizer: a load, a second member that joins and leaves, an orderly end.

Every log is searched for findings when the test ends.
"""

from conftest import build
from lib.records import Table, pipeline
from lib.sink import Setup
from lib.stack import ROOT

EVENTS = 8_000
PARTITIONS = 4


def test_rebalances_without_a_race(database, kafka, prefix, stack, tmp_path):
    program = build("tsan")
    assert program.exists(), f"{program} is not built: scripts/test"
    # ThreadSanitizer wants its own places in memory, which randomised addresses may take.
    wrapper = tmp_path / "ods-sink-tsan"
    wrapper.write_text(f'#!/bin/sh\nexec setarch -R "{program}" "$@"\n')
    wrapper.chmod(0o755)
    table = Table(prefix=prefix)
    kafka.create(table.topic, PARTITIONS)
    sink = Setup(tmp_path / "sink", wrapper, stack)
    sink.write(pipeline(table), database=database, kafka=True, lanes=2,
               batch={"max_events": 100}, http={"listen": ""})
    suppressions = ROOT / "tests" / "support" / "tsan.supp"
    env = {"TSAN_OPTIONS": f"suppressions={suppressions} history_size=4"}

    def rows(first, count):
        return [table.create({"id": number, "name": f"n{number}", "amount": number},
                             partition=number % PARTITIONS)
                for number in range(first, first + count)]

    def applied():
        return sum(database.offsets().values())

    try:
        first = sink.daemon(env=env)
        kafka.produce(rows(0, EVENTS // 2))
        first.await_that(lambda: applied() > 0, 60, "the first rows")
        second = sink.daemon(env=env)
        kafka.produce(rows(EVENTS // 2, EVENTS // 2))
        second.await_that(lambda: "assigned" in second.log(), 60, "an assignment")
        second.stop(timeout_s=40)
        first.await_that(lambda: applied() == EVENTS, 90, "the end")
        first.stop(timeout_s=40)
        assert database.count("items") == EVENTS
    finally:
        sink.close()
