"""Every kind of bad record of the fault driver's load, once among records that are right and without a
fault: each is a dead letter, and nothing else is."""

import base64
import json
import os
import random

from chaos import bad
from chaos.compare import compare
from chaos.workload import TABLES, Workload
from chaos.world import load_pipeline
from lib.sink import read_lines

STEPS = 2500


class Letter:
    """A line of a dead-letter file, asked as Kafka's messages are."""

    def __init__(self, line):
        self.line = line

    def _bytes(self, name, coded):
        if coded in self.line:
            return base64.b64decode(self.line[coded])
        text = self.line.get(name)
        return text if text is None else text.encode()

    def key(self):
        return self._bytes("key", "key_b64")

    def value(self):
        return self._bytes("payload", "value_b64")

    def headers(self):
        headers = self.line["headers"]
        return [(name, value if value is None else value.encode())
                for name, value in zip(headers[::2], headers[1::2])]


def as_line(record):
    """Bytes that are no text have no place in JSON."""
    line = dict(record)
    for name, coded in (("key", "key_b64"), ("payload", "value_b64")):
        if isinstance(line[name], bytes):
            line[coded] = base64.b64encode(line.pop(name)).decode()
    line["headers"] = [text if isinstance(text, str) else json.dumps(text)
                       for text in record["headers"]]
    return line


def test_each_kind_is_a_dead_letter_and_nothing_else_is(sink, database, tmp_path, report):
    seed = int(os.environ.get("ODS_FAULT_SEED") or random.randrange(10**9))
    report(f"ODS_FAULT_SEED={seed}")
    workload = Workload("src", seed=seed, keys=400, poison=0)
    database.execute(TABLES)
    sink.write(load_pipeline("src"), database=database, batch={"max_events": 500},
               retry={"initial_ms": 10, "max_ms": 50})
    records, planned = [], 3 * list(workload.kinds)
    workload.random.shuffle(planned)
    every = STEPS // (len(planned) + 1)
    for number in range(STEPS):
        records += workload.step()
        if planned and number % every == 0:
            workload.kinds = [planned.pop()]
            records.append(workload.bad_record())
    sink.replay([as_line(record) for record in records], dead_letter=tmp_path / "letters")
    letters = [Letter(line) for line in read_lines(tmp_path / "letters")]
    verdict = compare(workload, lambda sql: database.execute(sql), letters)
    assert verdict.exact and not verdict.letters_twice, verdict.examples
    assert verdict.kinds == {entry.name: 3 for entry in bad.chosen()}
