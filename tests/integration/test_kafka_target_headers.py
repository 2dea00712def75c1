"""The Kafka target and the headers of records: those that came go on, also when they are sent twice."""

import json

import pytest

from lib.committed import read_committed
from lib.records import pipeline, row

COUNT, LARGE = 120, (17, 90)


def traced(table, number):
    """Two of three records have headers."""
    name = "x" * 9000 if number in LARGE else f"n{number}"
    record = table.create({**row(number), "name": name})
    return {**record, "headers": ["trace", f"t{number}", "kind", "k"] if number % 3 else []}


def headers_of(number, **more):
    return {**({"trace": f"t{number}", "kind": "k"} if number % 3 else {}), **more}


@pytest.mark.parametrize("added", [{}, {"origin": "{{offset}}"}], ids=["kept", "added"])
def test_headers_of_records_that_are_sent_again(sink, kafka, table, prefix, added):
    """The topic takes less than two of the records have, so their transaction is taken back."""
    out, letters = kafka.create(f"{prefix}-out", 1), kafka.create(f"{prefix}-letters", 1)
    kafka.alter(out, max_message_bytes=4000)
    kafka.produce([traced(table, number) for number in range(COUNT)])
    sink.write(pipeline(table), kafka=True, lanes=1, dead_letter={"topic": letters},
               targets=[{"name": "ods", "type": "kafka", "topic": out, "schemas": False,
                         "headers": added}])
    daemon = sink.daemon()
    daemon.await_that(lambda: len(read_committed(kafka.bootstrap, out)) >= COUNT - len(LARGE))
    daemon.stop()
    found = {json.loads(record.value)["after"]["id"]: record.headers
             for record in read_committed(kafka.bootstrap, out)}
    assert found == {number: headers_of(number, **({"origin": str(number)} if added else {}))
                     for number in range(COUNT) if number not in LARGE}
    told = {int(record.headers["ods.offset"]): record.headers
            for record in read_committed(kafka.bootstrap, letters)}
    assert set(told) == set(LARGE)
    for number in LARGE:
        assert headers_of(number).items() <= told[number].items()
