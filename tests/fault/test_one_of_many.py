"""One of 50 tables is paused under a steady load: the others do not feel it."""

import statistics
import time

from lib.records import Table, pipeline, row
from lib.size import size

TABLES = 50
RECORDS = size("PAUSE_RECORDS", 4, 10)  # of each table and round
ROUNDS = size("PAUSE_ROUNDS", 8, 60)  # with it paused, and as many without


def test_one_of_many_is_paused(sink, kafka, database, prefix, report):
    tables = [Table(f"t{number}", prefix=prefix) for number in range(TABLES)]
    for table in tables:
        kafka.create(table.topic, 1)
    sink.write(pipeline(f"^{prefix}\\.shop\\..*", name="many"), database=database, kafka=True, lanes=2)
    daemon = sink.daemon().await_ready()
    sent = dict.fromkeys(range(TABLES), 0)

    def a_round(waited_for):
        """How long it takes until what was sent stands in these tables."""
        records = []
        for number, table in enumerate(tables):
            for _ in range(RECORDS):
                records.append(table.create(row(sent[number])))
                sent[number] += 1
        kafka.produce(records)
        began = time.monotonic()

        def there():
            offsets = {place[1]: offset for place, offset in database.offsets().items()}
            return all(offsets.get(tables[number].topic) == sent[number] for number in waited_for)

        daemon.await_that(there, what="the others are up to date")
        return time.monotonic() - began

    for _ in range(3):
        a_round(range(TABLES))  # tables are made
    fenced = daemon.metric("ods_sink_batches_fenced_total")
    others = range(1, TABLES)
    before = [a_round(others) for _ in range(ROUNDS)]
    stood = sent[0]
    sink.run("pause", "-c", sink.conf, tables[0].topic, "--reason", "an index is built")
    paused = [a_round(others) for _ in range(ROUNDS)]
    assert database.count("t0") == stood
    sink.run("resume", "-c", sink.conf, tables[0].topic)
    a_round(range(TABLES))
    for number in range(TABLES):
        assert database.execute(f"select count(*), count(distinct id) from t{number}") == [
            (sent[number], sent[number])]
    assert daemon.metric("ods_sink_batches_fenced_total") == fenced
    assert daemon.metric("ods_sink_batches_abandoned_total") == 0
    report(f"{ROUNDS} rounds of {TABLES * RECORDS} records: the other tables were up to date after "
           f"{statistics.median(before) * 1000:.0f} ms (median), with one paused after "
           f"{statistics.median(paused) * 1000:.0f} ms; at most {max(before) * 1000:.0f} and "
           f"{max(paused) * 1000:.0f}")
    # No measure, but what a pause that held the lane would be seen by.
    assert statistics.median(paused) < statistics.median(before) * 10
    daemon.stop()
