"""kill -9 during a load: whatever the instruction, nothing is lost and nothing is there twice.

Two tables prove it: one with a key, whose triggers count what was written, and one without, to which
every record is appended and where a repeated record would be one row too many.
"""

import os
import random
import time

from lib.records import INT, TEXT, Table, pipeline

EVENTS = 100_000
KILLS = 20
PARTITIONS = 4
LIMIT_BYTES = 100 * 1000 * 1000
# The killed member's partitions are given to the new one when the group has missed it.
IMPATIENT = {"session.timeout.ms": "1500", "heartbeat.interval.ms": "300"}


def load(keyed, keyless, seed):
    """Half of the events change rows of the keyed table, half append; and the rows that follow."""
    choose = random.Random(seed)
    records, rows, appended, changes = [], {}, [], {}
    for number in range(EVENTS // 2):
        key = choose.randrange(EVENTS // 8)
        place = {"partition": key % PARTITIONS}
        old = rows.get(key)
        if old is None:
            rows[key] = {"id": key, "name": f"n{number} 😀", "amount": number}
            records.append(keyed.create(rows[key], **place))
        elif choose.random() < 0.2:
            del rows[key]
            records.append(keyed.delete(old, **place))
        else:
            rows[key] = {**old, "amount": number, "name": choose.choice([None, f"u{number}"])}
            records.append(keyed.update(old, rows[key], **place))
        changes[key] = changes.get(key, 0) + 1
        appended.append(number)
        records.append(keyless.create({"n": number, "text": f"t{number}"},
                                      partition=number % PARTITIONS))
    return records, rows, appended, changes


def test_killed_twenty_times(sink, database, kafka, prefix, report):
    seed = int(os.environ.get("ODS_TEST_SEED", random.randrange(10**9)))
    keyed = Table("items", prefix=prefix)
    keyless = Table("events", prefix=prefix, key=(), columns={"n": INT, "text": TEXT})
    for table in (keyed, keyless):
        kafka.create(table.topic, PARTITIONS)
    records, rows, appended, changes = load(keyed, keyless, seed)
    kafka.produce(records)
    # One change a batch and key is what the counter may see at most; it never may see more.
    database.execute("""
        create table items (id int primary key, name text, amount int, cdc_operation text,
                            cdc_timestamp timestamptz, writes int);
        create table events (n int, text text, cdc_operation text, cdc_timestamp timestamptz);
        create function count_writes() returns trigger language plpgsql as $body$
            begin
                new.writes := case tg_op when 'INSERT' then 1 else coalesce(old.writes, 0) + 1 end;
                return new;
            end $body$;
        create trigger count_writes before insert or update on items
            for each row execute function count_writes()""")
    sink.write(pipeline(f"^{prefix}\\..*", name="load", defaults={"on_delete": "soft"}),
               database=database, kafka=True, batch={"max_events": 1000},
               kafka_properties=IMPATIENT)

    choose = random.Random(seed)
    kills, peaks, began = 0, [], time.monotonic()
    done = 0
    while kills < KILLS:
        daemon = sink.daemon()
        # Within this life's share of what is left, so that kills fall into every phase of the load.
        wanted = done + int(choose.random() * (EVENTS - done) / (KILLS - kills + 1))
        daemon.await_that(lambda: applied(database) >= wanted or applied(database) == EVENTS, 60,
                          f"{wanted} events applied")
        time.sleep(choose.random() * 0.03)  # somewhere in a batch, not just after a commit
        peaks.append(daemon.peak_rss_bytes())
        daemon.kill()
        kills += 1
        done = applied(database)
    left = EVENTS - done
    daemon = sink.daemon()
    daemon.await_that(lambda: applied(database) == EVENTS, 60, "the end")
    peaks.append(daemon.peak_rss_bytes())
    daemon.stop()
    took = time.monotonic() - began
    report(f"ODS_TEST_SEED={seed}, {EVENTS} events, {kills} kills ({left} events after the last "
           f"one), {took:.1f} s, peak RSS {max(peaks) / 1e6:.1f} MB")

    living = database.execute("select id, name, amount from items where cdc_operation <> 'd'")
    assert {row[0]: row for row in living} == \
        {key: (key, row["name"], row["amount"]) for key, row in rows.items()}
    found = sorted(number for number, in database.execute("select n from events"))
    assert found == appended, "the keyless table has every record exactly once"
    too_often = [(key, writes, changes[key]) for key, writes in
                 database.execute("select id, writes from items") if writes > changes[key]]
    assert not too_often, f"written more often than changed: {too_often[:5]}"
    assert max(peaks) < LIMIT_BYTES


def applied(database):
    return sum(database.offsets().values())


def test_peak_memory_of_an_undisturbed_load(sink, database, kafka, prefix, report):
    """Everything waits in Kafka, so that the queues are as full as they get."""
    table = Table(prefix=prefix)
    kafka.create(table.topic, PARTITIONS)
    kafka.produce([table.create({"id": number, "name": f"name of {number}" * 5, "amount": number},
                                partition=number % PARTITIONS) for number in range(EVENTS)])
    sink.write(pipeline(table, name="load"), database=database, kafka=True)
    daemon = sink.daemon()
    began = time.monotonic()
    daemon.await_that(lambda: applied(database) == EVENTS, 90, "the end")
    took = time.monotonic() - began
    peak = daemon.peak_rss_bytes()
    daemon.stop()
    report(f"{EVENTS} events in {took:.1f} s, peak RSS {peak / 1e6:.1f} MB")
    assert database.count("items") == EVENTS
    assert database.value("select sum(amount) from items") == sum(range(EVENTS))
    assert peak < LIMIT_BYTES
