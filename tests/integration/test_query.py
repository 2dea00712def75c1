"""ods-sink query: rows of a table as the target has them, found by either name, read and nothing else."""

import csv
import io
import json

import pytest
from lib.records import INT, TEXT, Table, pipeline
from lib.sink import Exit
from lib.terminal import shown

LONG = "lorem ipsum " * 40
COLUMNS = {"id": INT, "region": TEXT, "name": TEXT}
HOSTILE = 'a "b", \'c\'\n\\d; drop table items --'


def row(number, region="eu", name="n"):
    return {"id": number, "region": region, "name": name}


@pytest.fixture
def filled(sink, database):
    """shop.items: id 1 to 5 in eu, 2 in us too, and 9, which is deleted; shop.other"Name: one row."""
    items = Table("items", columns=COLUMNS, key=("id", "region"))
    odd = Table('other"Name', columns={"code": TEXT, "n": INT}, key=("code",))
    odd.topic = "src.shop.other_Name"
    sink.write(pipeline(items, tables={"shop.items": {}, 'shop.other"Name': {
        "target": 'we"ird.ta ble', "topics": [odd.topic]}}) | {"topics": [items.topic, odd.topic]},
        database=database)
    database.execute('create schema "we""ird"')
    records = [items.create(row(number), ts_ms=1_700_000_000_000 + number * 1000)
               for number in (5, 4, 3, 2, 1, 9)]
    records += [items.create(row(2, "us", LONG)), items.update(row(3), row(3, name=HOSTILE)),
                items.delete(row(9)), odd.create({"code": HOSTILE, "n": 1})]
    sink.replay(records)
    return database


def query(sink, *arguments, expect=Exit.OK):
    return sink.run("query", "-c", sink.conf, *arguments, expect=expect)


def rows(sink, *arguments):
    return json.loads(query(sink, *arguments, "--json").stdout)


def ids(found):
    return [(each["id"], each["region"]) for each in found]


def test_by_either_name(sink, filled):
    everything = rows(sink, "shop.items")
    assert ids(everything) == [(1, "eu"), (2, "eu"), (2, "us"), (3, "eu"), (4, "eu"), (5, "eu")]
    assert rows(sink, "items") == rows(sink, "public.items") == everything
    for name in ('shop.other"Name', 'other"Name', 'we"ird.ta ble', "ta ble"):
        assert [each["code"] for each in rows(sink, name)] == [HOSTILE]


def test_keys(sink, filled):
    assert ids(rows(sink, "items", "--key", "id=2,region=us")) == [(2, "us")]
    assert ids(rows(sink, "items", "--key", "region=us", "--key", "id=2")) == [(2, "us")]
    assert ids(rows(sink, "items", "--key", "id=2")) == [(2, "eu"), (2, "us")]
    assert rows(sink, "ta ble", "--key", HOSTILE)[0]["n"] == 1
    assert rows(sink, "ta ble", "--key", "' or true --") == []
    assert "2 columns" in query(sink, "items", "--key", "2", expect=Exit.USAGE).stderr
    assert "integer" in query(sink, "items", "--key", "id=x", expect=Exit.USAGE).stderr


def test_which_rows(sink, filled):
    assert ids(rows(sink, "items", "--deleted"))[-1] == (9, "eu")
    assert ids(rows(sink, "items", "--where", "id > 3 -- so")) == [(4, "eu"), (5, "eu")]
    assert ids(rows(sink, "items", "--recent", "--limit", "1")) == [(3, "eu")]
    assert ids(rows(sink, "items", "--since", "2024-01-01")) == [(2, "us"), (3, "eu")]
    assert ids(rows(sink, "items", "--since", "2023-11-14T22:13:25Z", "--where", "id < 9")) == \
        [(2, "us"), (3, "eu"), (5, "eu")]
    assert query(sink, "items", "--count").stdout == "6\n"
    assert rows(sink, "items", "--count", "--deleted") == {"count": 7}
    limited = query(sink, "items", "--limit", "2", "--json")
    assert len(json.loads(limited.stdout)) == 2 and "--limit" in limited.stderr
    filled.execute("insert into items select n, 'x' from generate_series(1, 3000) n")
    assert len(rows(sink, "items")) == 100
    assert len(rows(sink, "items", "--limit", "0")) == 3006
    filled.execute("insert into items select n, 'y' from generate_series(1, 10000) n")
    table = query(sink, "items", "--limit", "0").stdout.splitlines()
    assert len([line for line in table if line.startswith("id ")]) == 2, "a head each 10,000 rows"
    assert len(table) == 13006 + 3


def test_formats(sink, filled):
    text = query(sink, "items", "--format", "csv").stdout
    found = list(csv.reader(io.StringIO(text, newline="")))
    assert found[0][:3] == ["id", "region", "name"] and found[4][:3] == ["3", "eu", HOSTILE]
    table = query(sink, "items").stdout
    assert LONG.strip() in table and "a \"b\", 'c'\\n" in table, "nothing is cut in a pipe"
    assert f"name          | {LONG}" in query(sink, "items", "--format", "vertical").stdout
    command = [sink.binary, "query", "-c", sink.conf, "items"]
    for format_, cut in (("table", True), ("vertical", True), ("csv", False)):
        text, code = shown(command + ["--format", format_], env=sink.stack.environment())
        assert code == Exit.OK and (LONG.strip() not in text) == cut
        assert ("…" in text) == cut
    filled.execute("update items set name = null where id = 1")
    assert rows(sink, "items", "--key", "id=1")[0]["name"] is None
    assert ",," in query(sink, "items", "--key", "id=1", "--format", "csv").stdout
    assert "∅" in query(sink, "items", "--key", "id=1").stdout


@pytest.mark.parametrize("where, code, words", [
    ("id = 1); delete from items; select (1=1", Exit.USAGE, "statement"),
    ("nope = 1", Exit.USAGE, "nope"),
    ("set_config('transaction_read_only', 'off', false) = 'off' and taken()", None, None),
    ("taken()", None, "read-only"),
    ("pg_sleep(60) is null", Exit.TARGET, "timeout")], ids=range(5))
def test_where_can_only_read(sink, filled, where, code, words):
    filled.execute("create function taken() returns bool language plpgsql as "
                   "$$ begin delete from items; return true; end $$")
    before = filled.state()
    done = query(sink, "items", "--where", where, "--timeout", "1", expect=None)
    assert done.returncode == code if code else done.returncode != Exit.OK
    assert words is None or words in done.stderr
    assert filled.state() == before


def test_no_such_table_and_several(sink, database):
    first, second = Table("items", database="shop"), Table("items", database="depot")
    sink.write(pipeline(first, "one"), pipeline(second, "two", defaults={"schema": "depot"}),
               database=database)
    database.execute("create schema depot")
    sink.replay([first.create({"id": 1}), second.create({"id": 2})])
    several = query(sink, "items", expect=Exit.USAGE).stderr
    assert "public.items" in several and "depot.items" in several and '"two"' in several
    assert [each["id"] for each in rows(sink, "items", "--pipeline", "two")] == [2]
    assert [each["id"] for each in rows(sink, "depot.items")] == [2]
    assert [each["id"] for each in rows(sink, "shop.items")] == [1]
    missing = query(sink, "shop.itmes", expect=Exit.USAGE)
    assert "public.itmes" in missing.stderr and not missing.stdout
    assert "three" in query(sink, "items", "--pipeline", "three", expect=Exit.USAGE).stderr


def test_other_targets_are_named(sink, tmp_path):
    table = Table("items")
    sink.write(pipeline(table, target="lines"),
               targets=[{"name": "lines", "type": "file", "directory": str(tmp_path)}])
    done = query(sink, "items", expect=Exit.USAGE)
    assert '"lines" is of type "file"' in done.stderr


def test_sources_that_can_not_be_read_again(sink, database, tmp_path):
    """Rows can be asked for, lag and trace can't."""
    table = Table("items")
    sink.write(pipeline(table, input={"type": "lines", "listen": str(tmp_path / "in.sock")}),
               database=database)
    database.execute("create table items (id int primary key)")
    assert rows(sink, "items") == []
    for words in (["query", "--lag"], ["trace", "--key", "1"]):
        done = sink.run(*words, "-c", sink.conf, "items", expect=Exit.USAGE)
        assert 'of type "lines"' in done.stderr


def test_without_times(sink, database):
    table = Table("items")
    sink.write(pipeline(table, defaults={"cdc_timestamp": "off"}), database=database)
    sink.replay([table.create({"id": 1})])
    for option in (["--recent"], ["--since", "1h"]):
        assert "cdc_timestamp is off" in query(sink, "items", *option, expect=Exit.USAGE).stderr


def test_lag(sink, database, kafka, table):
    sink.write(pipeline(table), database=database, kafka=True)
    kafka.produce([table.create({"id": 1}), table.create({"id": 2})])
    daemon = sink.daemon()
    daemon.await_that(lambda: database.count("items") == 2)
    daemon.stop()
    kafka.produce([table.create({"id": 3})])
    answer = json.loads(query(sink, "items", "--lag", "--json").stdout)
    assert (answer["lag"], answer["pipeline"], answer["all_topics"]) == (1, "items", False)
    place, = answer["partitions"]
    assert (place["topic"], place["stored"], place["end"]) == (table.topic, 2, 3)
    assert answer["newest_change"].startswith("2025-10-09") and answer["newest_change_age_s"] > 0
    text = query(sink, "shop.items", "--lag").stdout
    assert "1 record behind" in text and table.topic in text
