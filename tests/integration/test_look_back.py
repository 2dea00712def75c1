"""A lane that starts in the middle of a partition looks at the records before it, so that a tombstone
behind its delete is known as one; where Kafka has them no more, that is no gap."""

import re

import pytest

from lib.records import Table, pipeline, row


@pytest.fixture
def topics(kafka, prefix):
    """Tables in topics that are not named after them."""
    tables = []
    for name in ("seen", "unseen", "moved"):
        table = Table(name, shape="flat-plain")
        table.topic = kafka.create(f"{prefix}-{name}", 1)
        tables.append(table)
    return tables


def stored(database):
    return {topic.rsplit("-", 1)[1]: offset for (_, topic, _), offset in database.offsets().items()}


def total(daemon, name, label=""):
    """Of all series of a metric that have the label."""
    lines = daemon.get("/metrics")[1].splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines
               if line.startswith(name) and label in line)


def test_tombstones_behind_a_restart(sink, database, kafka, prefix, topics):
    seen, unseen, moved = topics
    letters = kafka.create(f"{prefix}.letters", 1)
    kafka.produce([record for table in topics
                   for record in [table.create(row(n)) for n in range(20)] + [table.delete(row(1))]])
    sink.write(pipeline(f"^{re.escape(prefix)}-", defaults={"on_delete": "hard"}),
               database=database, kafka=True, dead_letter={"topic": letters})
    daemon = sink.daemon()
    daemon.await_that(lambda: stored(database) == dict.fromkeys(("seen", "unseen", "moved"), 21))
    daemon.stop()
    kafka.delete_records(unseen.topic, 0, 21)
    kafka.produce([seen.tombstone(row(1)), unseen.tombstone(row(1)), moved.tombstone(row(2)),
                   moved.tombstone(row(1)), seen.create(row(30))])
    daemon = sink.daemon()
    daemon.await_that(lambda: stored(database) == {"seen": 23, "unseen": 22, "moved": 23})
    daemon.await_that(lambda: kafka.count(letters) == 2)
    assert total(daemon, "ods_sink_records_passed_total", 'reason="tombstone"') == 2
    assert total(daemon, "ods_sink_records_total") == 5  # what was only looked at does not count
    assert total(daemon, "ods_sink_offset_gaps_total") == 0
    daemon.stop()
    texts = [dict(message.headers())["ods.error"].decode() for message in kafka.read(letters)]
    assert all("the table of this delete can't be told" in text for text in texts)
    assert {dict(message.headers())["ods.topic"].decode() for message in kafka.read(letters)} == \
        {unseen.topic, moved.topic}
    assert database.count("seen") == 20 and database.count("moved") == 19
    # Once tables.yaml says whose topic it is, the letter can be applied.
    sink.write(pipeline(f"^{re.escape(prefix)}-", defaults={"on_delete": "hard"},
                        tables={"moved": {"topics": [moved.topic]}}),
               database=database, kafka=True, dead_letter={"topic": letters})
    sink.run("dlq", "replay", "-c", sink.conf, "--topic", moved.topic)
    assert database.count("moved") == 18 and database.count("moved", "id = 2") == 0
