"""A key change of a row with a value that PostgreSQL left in TOAST: the create of the new key
carries the placeholder, and the row under the old key has the value."""

import base64
import itertools
import json
import time

import pytest

from conftest import GOLDEN
from lib.records import INT, TEXT, Table, pipeline

UNAVAILABLE = "__debezium_unavailable_value"
JSON = {"type": "string", "name": "io.debezium.data.Json", "version": 1}
TEXTS = {"type": "array", "items": {"type": "string", "optional": True}}
COLUMNS = {"id": INT, "note": TEXT, "big": TEXT, "bytes": {"type": "bytes"}, "json": JSON,
           "list": TEXTS}
BIG = {"big": "x" * 5000, "bytes": "AAEC/w==", "json": '{"a": 1}', "list": ["a", None, 'q"']}
SHOWN = ("x" * 5000, "\\x000102ff", '{"a": 1}', '{a,NULL,"q\\""}')
GONE = {"big": UNAVAILABLE, "bytes": "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
        "json": UNAVAILABLE, "list": [UNAVAILABLE]}
LOST = (None, None, None, None)


def items():
    return Table(columns=COLUMNS)


def key_change(table, old, new, values, at=None):
    """The two records (and the tombstone) that one update of the key becomes."""
    at = at or table._clock_ms + 1000
    delete = table.change("d", {"id": old}, None, ts_ms=at)
    tombstone = table.tombstone({"id": old})
    create = table.change("c", None, {"id": new, **values}, ts_ms=at)
    delete["headers"] = tombstone["headers"] = ["__debezium.newkey", json.dumps({"id": new})]
    create["headers"] = ["__debezium.oldkey", json.dumps({"id": old})]
    table._clock_ms = at
    return [delete, tombstone, create]


def row(database, number):
    found = database.execute("select big, bytes::text, json::text, list::text from items "
                             "where id = %s", number)
    return found[0] if found else None


@pytest.mark.parametrize("on_delete,cut,expected", [
    ("soft", "one batch", SHOWN), ("soft", "two batches", SHOWN), ("soft", "delete first", SHOWN),
    ("hard", "one batch", SHOWN), ("hard", "two batches", SHOWN), ("hard", "delete first", LOST),
    ("ignore", "delete first", SHOWN),
])
def test_old_value_is_kept(sink, database, on_delete, cut, expected):
    table = items()
    sink.write(pipeline(table, defaults={"on_delete": on_delete}), database=database)
    records = [table.create({"id": 1, "note": "a", **BIG})]
    records += key_change(table, 1, 2, {"note": "b", **GONE})
    parts = {"one batch": [records], "two batches": [records[:1], records[1:]],
             "delete first": [records[:1], records[1:3], records[3:]]}[cut]
    lost = sum(sink.replay(part)["pipelines"][0]["values_lost"] for part in parts)
    assert row(database, 2) == expected
    assert lost == (4 if expected is LOST else 0)
    assert database.value("select note from items where id = 2") == "b"


def test_in_any_order_of_partitions(sink, databases):
    """Both keys have partitions of their own, and a batch takes them in any order."""
    for order in itertools.permutations("oldn"):
        if order.index("o") > order.index("d"):
            continue  # of one partition
        table = items()
        database = databases()
        sink.write(pipeline(table, defaults={"on_delete": "hard"}), database=database)
        create = table.create({"id": 1, "note": "a", **BIG})
        update = table.update({"id": 1}, {"id": 1, "note": "b", **GONE, "big": "y"})
        delete, _, new = key_change(table, 1, 2, {"note": "c", **GONE})
        steps = {"o": [create, update], "d": [delete], "n": [new], "l": []}
        records = [record for step in order for record in steps[step]]
        for offset, record in enumerate(records):
            record["offset"] = offset
        sink.replay(records)
        assert row(database, 2) == ("y", *SHOWN[1:]), order
        assert database.count("items") == 1


def test_key_changes_in_a_row(sink, database):
    table = items()
    sink.write(pipeline(table, defaults={"on_delete": "hard"}), database=database)
    records = [table.create({"id": 1, "note": "a", **BIG})]
    for old in range(1, 5):
        records += key_change(table, old, old + 1, {"note": f"{old}", **GONE})
    sink.replay(records)
    assert row(database, 5) == SHOWN
    assert database.count("items") == 1


@pytest.mark.parametrize("delete", ["soft", "hard"])
def test_another_row_of_the_old_key_is_not_the_old_row(sink, database, delete):
    """It was made after the key change: its values are its own."""
    table = items()
    sink.write(pipeline(table, defaults={"on_delete": delete}), database=database)
    records = [table.create({"id": 1, "note": "a", **BIG})]
    change = key_change(table, 1, 2, {"note": "b", **GONE})
    again = table.create({"id": 1, "note": "new", **{**BIG, "big": "not this"}})
    sink.replay([*records, *change[:2], {**again, "offset": 4}])
    summary = sink.replay([{**change[2], "offset": 5}])
    assert row(database, 2) == LOST
    assert summary["pipelines"][0]["values_lost"] == 4
    assert row(database, 1)[0] == "not this"


def test_re_created_in_the_same_batch(sink, database):
    table = items()
    sink.write(pipeline(table, defaults={"on_delete": "hard"}), database=database)
    records = [table.create({"id": 1, "note": "a", **BIG})]
    records += key_change(table, 1, 2, {"note": "b", **GONE})
    records += [table.create({"id": 1, "note": "new", **{**BIG, "big": "not this"}})]
    sink.replay(records)
    assert row(database, 2) == SHOWN
    assert row(database, 1)[0] == "not this"


@pytest.mark.parametrize("header", ["{}", "null", "not json", '{"id": "x"}', '{"id": null}', "[]",
                                    '{"id": [1]}', ""])
def test_a_header_that_says_nothing(sink, database, header):
    table = items()
    sink.write(pipeline(table), database=database)
    records = [table.create({"id": 1, "note": "a", **BIG})]
    records += key_change(table, 1, 2, {"note": "b", **GONE})
    records[-1]["headers"][1] = header
    summary = sink.replay(records)
    assert row(database, 2) == LOST
    assert summary["pipelines"][0]["values_lost"] == 4


@pytest.mark.parametrize("batch", [1, 2, 10000])
@pytest.mark.parametrize("shape", ["pg", "pglean"])
def test_captured_records(sink, database, shape, batch):
    """What Debezium 3.3 wrote of update toasted set id = 3 where id = 2."""
    lines = [json.loads(line) for line in
             (GOLDEN / "debezium-postgres" / f"{shape}.public.toasted.jsonl").open()]
    if shape == "pglean":
        database.execute("create table toasted (id int primary key, big text, bigb bytea, "
                         "bigarr text[], note text, bigj jsonb, cdc_operation text, "
                         "cdc_timestamp timestamptz)")
    sink.write(pipeline(r"^%s\.public\.toasted$" % shape, source={"connector": "postgresql"}),
               database=database, batch={"max_events": batch})
    lines.sort(key=lambda line: (line["ts"], line["partition"], line["offset"]))
    sink.replay(lines)
    found = dict(database.execute("select id, length(big) from toasted"))
    assert found[3] == found[2] and found[3] > 1000
    assert not database.count("toasted", "toasted::text like '%%unavailable%%'")


# --- without a key change -------------------------------------------------------------------------


@pytest.mark.parametrize("placeholder,setting", [
    (UNAVAILABLE, None), ("gone", "gone"), ("gone", "hex:676f6e65")])
def test_an_update_leaves_what_was_not_sent(sink, database, placeholder, setting):
    """And a row that is not there gets NULL for it: never the placeholder."""
    table = items()
    source = {"source": {"unavailable_value": setting}} if setting else {}
    sink.write(pipeline(table, **source), database=database)
    gone = {"big": placeholder, "json": placeholder, "list": [placeholder],
            "bytes": base64.b64encode(placeholder.encode()).decode()}
    sink.replay([table.create({"id": 1, "note": "a", **BIG}),
                 table.update({"id": 1}, {"id": 1, "note": "b", **gone}),
                 table.update({"id": 2}, {"id": 2, "note": "c", **gone})])
    assert (row(database, 1), row(database, 2)) == (SHOWN, LOST)
    assert database.execute("select note from items order by id") == [("b",), ("c",)]


# --- while the old key's partition is behind ------------------------------------------------------


def put_off(daemon):
    return daemon.metric("ods_sink_records_put_off_total")


@pytest.mark.parametrize("there", ["nothing", "an earlier version"])
def test_a_create_waits_for_the_row_of_its_old_key(sink, database, kafka, prefix, there):
    """It is read by another lane, whose next batch a lock in the target holds up."""
    table = items()
    table.topic = kafka.create(f"{prefix}-items", 2)
    defaults = {"on_delete": "soft"}
    sink.write({**pipeline(f"^{prefix}-items$", defaults=defaults), "lanes": 2}, database=database,
               kafka=True)
    daemon = sink.daemon()

    def produce(partition, records):
        kafka.produce([{**record, "partition": partition} for record in records])

    produce(1, [table.create({"id": 7, "note": "held", **BIG})])
    if there == "an earlier version":
        produce(1, [table.create({"id": 1, "note": "a", **BIG, "big": "not this"})])
    produce(0, [table.create({"id": 8, "note": "a", **BIG})])
    daemon.await_that(lambda: database.exists("items") and
                      database.count("items") == (3 if there == "an earlier version" else 2))
    holder = database.connect()
    holder.autocommit = False
    with holder, holder.cursor() as cursor:
        cursor.execute("select from items where id = 7 for update")
        produce(1, [table.update({"id": 7}, {"id": 7, "note": "b", **GONE})])
        if there == "an earlier version":
            produce(1, [table.update({"id": 1}, {"id": 1, "note": "b", **BIG})])
        else:
            produce(1, [table.create({"id": 1, "note": "a", **BIG})])
        delete, tombstone, create = key_change(table, 1, 2, {"note": "c", **GONE})
        produce(1, [delete, tombstone])
        produce(0, [table.update({"id": 8}, {"id": 8, "note": "before", **GONE}), create,
                    table.update({"id": 8}, {"id": 8, "note": "behind", **GONE})])
        daemon.await_that(lambda: put_off(daemon) > 3)
        # What stands before it in its partition is applied.
        daemon.await_that(lambda: database.value("select note from items where id = 8") == "before")
        assert row(database, 2) is None
    holder.close()
    daemon.await_that(lambda: database.value("select note from items where id = 8") == "behind")
    assert row(database, 2) == SHOWN
    assert daemon.metric("ods_sink_values_lost_total") == 0
    assert daemon.metric("ods_sink_batches_fenced_total") == 0
    daemon.stop()


@pytest.mark.parametrize("partition", [0, 1])
def test_what_never_comes_is_not_waited_for(sink, database, kafka, prefix, partition):
    """All that is older is there: the row of the old key was never in the topic. Nor do two of one moment, of two
    partitions, wait for each other."""
    table = items()
    table.topic = kafka.create(f"{prefix}-items", 2)
    sink.write(pipeline(f"^{prefix}-items$"), database=database, kafka=True)
    *_, create = key_change(table, 1, 2, {"note": "c", **GONE})
    *_, second = key_change(table, 3, 4, {"note": "c", **GONE})
    other = table.create({"id": 5, "note": "a", **BIG})
    now = int(time.time() * 1000)
    kafka.produce([{**create, "partition": 0, "produced_ms": now},
                   {**second, "partition": partition, "produced_ms": now},
                   {**other, "partition": 1, "produced_ms": now}])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items") and database.count("items") == 3)
    assert row(database, 2) == row(database, 4) == LOST
    # What is committed is seen a moment before it is counted.
    daemon.await_that(lambda: daemon.metric("ods_sink_values_lost_total") == 8, what="all of them are counted")
    assert put_off(daemon) >= 1
    daemon.stop()


def test_behind_many_others_in_one_lane(sink, database, kafka, prefix):
    """A lane reads both partitions, that of the old key far behind."""
    table = items()
    table.topic = kafka.create(f"{prefix}-items", 2)
    old, new, changed = [], [], 200
    for number in range(changed):
        old.append(table.create({"id": number, "note": "a", **BIG, "big": "not this"}))
    for number in range(changed):
        old.append(table.update({"id": number}, {"id": number, "note": "b", **BIG}))
        delete, tombstone, create = key_change(table, number, 1000 + number, {"note": "c", **GONE})
        old += [delete, tombstone]
        new.append(create)
    kafka.produce_at_once([*({**record, "partition": 0} for record in new),
                           *({**record, "partition": 1} for record in old)])
    sink.write(pipeline(f"^{prefix}-items$", defaults={"on_delete": "soft"}), database=database,
               kafka=True, batch={"max_events": 50},
               kafka_properties={"max.partition.fetch.bytes": "20000"})
    daemon = sink.daemon()
    daemon.await_that(lambda: database.exists("items") and
                      database.count("items", "id >= 1000") ==
                      database.count("items", "cdc_operation = 'd'") == changed)
    assert {row(database, 1000 + number) for number in range(changed)} == {SHOWN}
    assert daemon.metric("ods_sink_values_lost_total") == 0
    daemon.stop()
