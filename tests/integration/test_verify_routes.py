"""ods-sink verify where transforms send rows to other tables, or make rows of others: what the sink would have
written is compared, and what can't be is said."""

import json
import threading
import time

import pytest

from lib.records import INT, TEXT, Table, pipeline
from lib.sink import Exit

EQUAL, DIFFERS, CANT_TELL = Exit.OK, Exit.NEGATIVE, 6
ROUTE = {"route": {"column": "region", "to": {"eu": "orders_eu", "^a": "orders_{value}"}}}
COLUMNS = {"id": INT, "region": TEXT, "note": TEXT, "lines": TEXT}
ROWS = [{"id": number, "region": region, "note": f"n{number}", "lines": '[{"sku": "a"}, {"sku": "b"}]'}
        for number, region in enumerate(["eu", "eu", "asia", "africa", "eu", "asia"])]


@pytest.fixture
def moved(sink, databases, kafka, prefix):
    """A function that moves ROWS by a pipeline with these transforms, and one that verifies."""
    def move(transforms, tables=("orders",), **settings):
        target, source = databases(), databases()
        source.execute("create schema shop")
        records = []
        for name in tables:
            table = Table(name, COLUMNS, database="shop", prefix=prefix)
            kafka.create(table.topic, 2)
            source.execute(f"create table shop.{name} (id int primary key, region text, note text, lines text)")
            for row in ROWS:
                shifted = {**row, "id": row["id"] + 100 * tables.index(name)}
                source.execute(f"insert into shop.{name} values (%s, %s, %s, %s)", *shifted.values())
                records.append(table.create(shifted, partition=row["id"] % 2))
        sink.write(pipeline(f"^{prefix}\\..*", database="shop", transforms=transforms, **settings), database=target,
                   kafka=True, databases=[{"name": "shop", "type": "postgres", "dsn": source.dsn}])
        kafka.produce(records)
        daemon = sink.daemon()
        daemon.await_that(lambda: sum(target.offsets().values()) == len(records))
        daemon.stop()
        return source, target

    return move


def verified(sink, *arguments, expect):
    done = sink.run("verify", "-c", sink.conf, "--json", "--settle", "1", "--wait", "1", *arguments, expect=None,
                    env={"XDG_STATE_HOME": str(sink.folder)})
    assert done.returncode == expect, done.stdout + done.stderr
    return {table["table"]: (table["verdict"], sorted([difference["kind"], str(*difference["key"].values())]
                                                      for difference in table["differences"]), table["why"])
            for table in json.loads(done.stdout)["tables"]}


def test_rows_are_compared_with_the_table_they_go_to(sink, moved):
    source, target = moved([ROUTE])
    found = verified(sink, expect=EQUAL)
    assert {name: verdict for name, (verdict, *_) in found.items()} == {
        f"shop.orders to orders_{region}": "equal" for region in ("eu", "asia", "africa")}
    target.execute("delete from orders_eu where id = 1")
    target.execute("update orders_asia set note = 'changed' where id = 5")
    target.execute("insert into orders_africa select * from orders_eu where id = 4")  # it belongs elsewhere
    found = verified(sink, expect=DIFFERS)
    assert {name: differences for name, (_, differences, _) in found.items()} == {
        "shop.orders to orders_eu": [["missing", "1"]], "shop.orders to orders_asia": [["changed", "5"]],
        "shop.orders to orders_africa": [["extra", "4"]]}
    assert list(verified(sink, "orders_asia", expect=DIFFERS)) == ["shop.orders to orders_asia"]
    assert "--counts" in verified(sink, "orders_asia", "--counts", expect=CANT_TELL)["shop.orders to orders_asia"][2]


def test_tables_that_share_one_and_tables_of_another_name(sink, moved):
    source, target = moved([{"route": {"to": {"^orders_": "orders"}}}], tables=("orders_a", "orders_b"))
    assert target.count("orders") == 12
    assert {name: verdict for name, (verdict, *_) in verified(sink, expect=EQUAL).items()} == {
        "shop.orders_a to orders": "equal", "shop.orders_b to orders": "equal"}
    target.execute("delete from orders where id = 103")
    found = verified(sink, expect=DIFFERS)
    assert found["shop.orders_b to orders"][:2] == ("differs", [["missing", "103"]])
    assert found["shop.orders_a to orders"][0] == "equal"


def test_rows_that_stay_are_compared_with_their_own_table(sink, moved):
    source, target = moved([{"route": {"column": "region", "to": {"eu": "orders_eu"}, "otherwise": "keep"}}])
    assert target.count("orders") == 3
    assert {name: verdict for name, (verdict, *_) in verified(sink, expect=EQUAL).items()} == {
        "shop.orders": "equal", "shop.orders to orders_eu": "equal"}
    target.execute("delete from orders where id = 2")
    assert verified(sink, expect=DIFFERS)["shop.orders"][1] == [["missing", "2"]]


def test_rows_of_an_array_are_not_compared_and_that_is_said(sink, moved):
    source, target = moved([{"explode": {"column": "lines", "table": "order_lines"}}])
    assert target.count("order_lines") == 12
    found = verified(sink, expect=CANT_TELL)
    assert found["shop.orders"][0] == "equal"
    verdict, _, why = found["shop.order_lines"]
    assert verdict == "not compared" and "explode" in why


def test_a_row_that_becomes_right_is_right_however_far_the_pipeline_is(sink, moved, kafka, prefix):
    """Nobody may be able to tell how far it is, as with a connector that has nothing to send: what comes while that is
    waited for is seen."""
    source, target = moved([])
    kafka.produce([Table("orders", COLUMNS, database="shop", prefix=prefix).update(ROWS[0], ROWS[0])])  # nobody reads it
    source.execute("delete from shop.orders where id = 1")
    source.execute("update shop.orders set note = 'late' where id = 2")
    late = threading.Timer(1, lambda: target.execute("delete from orders where id = 1; "
                                                     "update orders set note = 'late' where id = 2"))
    late.start()
    began = time.monotonic()
    done = sink.run("verify", "-c", sink.conf, "--json", "--wait", "60", expect=EQUAL,
                    env={"XDG_STATE_HOME": str(sink.folder)})
    late.join()
    assert json.loads(done.stdout)["tables"][0]["verdict"] == "equal"
    assert time.monotonic() - began < 50, "it waits for what does not come"
    target.execute("delete from orders where id = 3")
    done = sink.run("verify", "-c", sink.conf, "--json", "--wait", "2", expect=CANT_TELL,
                    env={"XDG_STATE_HOME": str(sink.folder)})
    assert json.loads(done.stdout)["tables"][0]["unsettled"] == 1
