"""ods-sink trace shows no value of a column that the pipeline masks: neither the source's, nor that of a
record which a filter drops and which is therefore shown as it was before the transforms."""

import json

from lib.records import INT, TEXT, Table, pipeline

ROWS = [{"id": 1, "name": "Ann Secret", "mail": "ann@secret", "region": "eu"},
        {"id": 2, "name": "Bob Secret", "mail": "bob@secret", "region": "us"}]
COLUMNS = {"id": INT, "name": TEXT, "mail": TEXT, "region": TEXT}


def test_masked_columns_are_not_shown(sink, databases, kafka, prefix):
    target, source = databases(), databases()
    source.execute("create schema shop; create table shop.items (id int primary key, name text, mail text, "
                   "region text)")
    for row in ROWS:
        source.execute("insert into shop.items values (%s, %s, %s, %s)", *row.values())
    table = Table("items", COLUMNS, prefix=prefix)
    kafka.create(table.topic)
    sink.write(pipeline(table, database="shop",
                        transforms=[{"filter": {"where": {"region": "eu"}}},
                                    {"rename": {"mail": "email"}},
                                    {"mask": {"columns": {"email": "redact"}}}],
                        tables={"shop.items": {"transforms": [{"mask": {"columns": {"name": {"keep_last": 1}}}}]}}),
               database=target, kafka=True,
               databases=[{"name": "shop", "type": "postgres", "dsn": source.dsn}])
    kafka.produce([table.create(row) for row in ROWS] + [table.create({**ROWS[0], "id": 9, "region": "eu"})])
    daemon = sink.daemon()
    daemon.await_that(lambda: target.exists("items") and target.count("items") == 2)
    daemon.stop()

    def trace(key, *options):
        return sink.run("trace", "-c", sink.conf, "shop.items", "--key", key, *options, expect=None).stdout

    assert json.loads(trace("1", "--json"))["source"] == {
        "id": "1", "name": "[redacted]", "mail": "[redacted]", "region": "eu"}
    shown = "".join(trace(key, *options) for key in ("1", "2") for options in ([], ["--json"]))
    assert "filter" in shown and "region = eu" in shown and "Secret" not in shown and "@secret" not in shown


def test_a_masked_key_is_not_looked_for_at_the_source(sink, databases, kafka, prefix):
    target, source = databases(), databases()
    source.execute("create schema shop; create table shop.items (id text primary key, region text); "
                   "insert into shop.items values ('card-4711', 'eu')")
    table = Table("items", {"id": TEXT, "region": TEXT}, prefix=prefix)
    kafka.create(table.topic)
    sink.write(pipeline(table, database="shop",
                        transforms=[{"mask": {"columns": {"id": {"keep_last": 4}}}, "rekey": True}]),
               database=target, kafka=True,
               databases=[{"name": "shop", "type": "postgres", "dsn": source.dsn}])
    kafka.produce([table.create({"id": "card-4711", "region": "eu"})])
    daemon = sink.daemon()
    daemon.await_that(lambda: target.exists("items") and target.count("items") == 1)
    daemon.stop()
    done = sink.run("trace", "-c", sink.conf, "items", "--key", "*****4711", expect=None)
    assert "source: the pipeline masks the key" in done.stdout and "card" not in done.stdout
