"""ods-sink trace and erase know dead letters that stand in a table of the target."""

import json

from lib.records import pipeline

NAME = "zq7 Somebody"
LONG = NAME + " with more words than fit"


def test_letters_in_a_table(sink, databases, kafka, table):
    database, source = databases(), databases()
    database.execute("create table items (id int primary key, name varchar(20), amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz)")
    source.execute("create schema shop; create table shop.items (id int primary key, name text, amount int)")
    sink.write(pipeline(table, database="shop", tables={"shop.items": {"redact": ["name"]}}),
               database=database, kafka=True, dead_letter={"table": "letters"},
               databases=[{"name": "shop", "type": "postgres", "dsn": source.dsn}])
    kafka.produce([table.create({"id": number, "name": NAME, "amount": number}) for number in (1, 2)])
    kafka.produce([table.update({"id": number, "name": NAME, "amount": 0},
                                {"id": number, "name": LONG, "amount": amount})
                   for number, amount in ((1, 1), (1, 2), (2, 3))])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("ods_sink.letters") and
                      database.count("ods_sink.letters") == 3 and database.count("items") == 2)

    def command(name, *options, expect=0):
        done = sink.run(name, "-c", sink.conf, "shop.items", "--key", "1", "--json", *options, expect=expect)
        assert NAME not in done.stdout + done.stderr
        return json.loads(done.stdout)

    traced = command("trace", expect=None)
    letters = [record["letter"] for record in traced["records"] if record["letter"]]
    assert [(one["table"], one["state"]) for one in letters] == [("letters", "waiting")] * 2, traced
    assert command("erase", "--dry-run")["letters"] == 2
    assert database.count("ods_sink.letters") == 3
    told = command("erase", "--yes")
    assert told["erased"] and (told["rows"], told["letters"]) == (1, 2)
    assert database.execute("select letter ->> 'payload' like '%%\"id\": 2%%' from ods_sink.letters") == [(True,)]
    assert database.execute("select id from items") == [(2,)]
    daemon.stop()
