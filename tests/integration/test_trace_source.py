"""ods-sink trace with the source database configured: the row as the source has it, and nothing that is
redacted is shown by trace or query."""

import json

from lib.records import pipeline

ROWS = [{"id": 1, "name": "Ann", "amount": 7}, {"id": 2, "name": "Bob", "amount": 8}]


def test_row_at_the_source(sink, databases, kafka, table):
    target, source = databases(), databases()
    source.execute("create schema shop; create table shop.items (id int primary key, name text, "
                   "amount int); insert into shop.items values (1, 'Ann', 99), (3, 'new', 1)")
    sink.write(pipeline(table, database="shop", tables={"shop.items": {"redact": ["name"]}}),
               database=target, kafka=True,
               databases=[{"name": "shop", "type": "postgres", "dsn": source.dsn}])
    kafka.produce([table.create(row) for row in ROWS])
    daemon = sink.daemon()
    daemon.await_that(lambda: target.count("items") == 2)
    daemon.stop()

    def trace(key, *options):
        done = sink.run("trace", "-c", sink.conf, "shop.items", "--key", key, *options,
                        expect=None)
        return done.stdout

    answer = json.loads(trace("1", "--json"))
    assert answer["source"] == {"id": "1", "name": "[redacted]", "amount": "99"}
    assert answer["target"]["row"]["amount"] == "7"
    assert json.loads(trace("2", "--json"))["source_why"] is None
    assert "source: no row of this key" in trace("2")
    missing = trace("3")
    assert "never sent" in missing and "amount = 1" in missing
    shown = trace("1") + trace("1", "--json") + sink.run("query", "-c", sink.conf, "items").stdout
    shown += sink.run("query", "-c", sink.conf, "items", "--json").stdout
    assert "Ann" not in shown and shown.count("[redacted]") >= 4
