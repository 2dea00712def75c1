"""A member that leaves at any moment of its joining: an orderly end, and nobody left in the group."""

import random
import time

from lib.records import Table, pipeline, row
from lib.size import size


def test_ends_at_any_moment_of_joining(sink, database, kafka, prefix):
    """Three lanes of one partition, so that most of them never get one. The moments are spread over
    what joining takes, the first ones before it has begun."""
    dice = random.Random(prefix)
    table = Table(prefix=prefix)
    kafka.create(table.topic, 1)
    kafka.produce([table.create(row(1))])
    sink.write(pipeline(table), database=database, kafka=True, lanes=3)
    for _ in range(size("LEAVES", 8, 60)):
        daemon = sink.daemon()
        daemon.await_that(lambda: "starts with" in daemon.log(), what="it hears signals")
        time.sleep(dice.random() * 0.8)
        daemon.stop()
    kafka.produce([table.create(row(2))])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 2, what="the rows")
    daemon.stop()
