"""Tables of MySQL and MariaDB: made from records, and changed as their source changes."""

import json
import threading
from decimal import Decimal

import pytest

from lib.mysql import BIT
from lib.mysql_target import Database, server  # noqa: F401 (a fixture)
from lib.records import BIGINT, DATE, DOUBLE, INT, TEXT, Table, pipeline
from lib.sink import Exit, Setup
from lib.stack import ROOT
from lib.text import by_text, row_text

NAME = {"type": "string", "optional": False}


@pytest.fixture
def target(server):
    target = Database(server, "ods_test")
    yield target
    target.close()


@pytest.fixture
def ods(sink, target):
    def configure(table, settings=None, **more):
        sink.write({**pipeline(table), "defaults": {"on_delete": "hard", **(settings or {})}, **more},
                   targets=[target.target()])
        return target
    return configure


def types(target, table="items", schema=None):
    """Column: its type, without the widths that some versions show."""
    rows = target.execute(
        "select column_name, column_type, is_nullable from information_schema.columns "
        "where table_schema = %s and table_name = %s order by ordinal_position",
        (schema or target.name, table))
    found = {}
    for name, kind, null in rows:
        base = kind.partition("(")[0]
        kind = base if base in ("smallint", "int", "bigint") else kind
        found[name] = kind + ("" if null == "YES" else " not null")
    return found


def letters_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def reasons(path):
    return [next(value for name, value in zip(letter["headers"][::2], letter["headers"][1::2])
                 if name == "ods.error") for letter in letters_of(path)]


def collation(target, table, column):
    return target.value("select collation_name from information_schema.columns where "
                        "table_schema = %s and table_name = %s and column_name = %s",
                        (target.name, table, column))


def test_a_table_is_made(sink, ods):
    table = Table(columns={"code": NAME, "amount": INT, "note": TEXT}, key=("code",))
    target = ods(table)
    rows = [{"code": code, "amount": place, "note": None} for place, code in enumerate(("a", "A", "é"))]
    summary = sink.replay([table.create(row) for row in rows])
    assert types(target) == {"code": "varchar(255) not null", "amount": "int", "note": "longtext",
                             "cdc_operation": "char(1)", "cdc_timestamp": "datetime(6)"}
    assert summary["pipelines"][0]["tables_created"] == 1
    assert target.execute("select code, amount from items order by amount") == \
        (("a", 0), ("A", 1), ("é", 2))  # of which other collations would make two rows, or one
    assert collation(target, "items", "code").endswith("_bin")
    assert target.value("select table_comment from information_schema.tables where table_schema = "
                        "%s and table_name = 'items'", (target.name,)).startswith("ods-sink: from ")
    again = sink.replay([table.create({**rows[0], "code": "b"})])
    assert again["pipelines"][0]["tables_created"] == 0


def test_blanks_at_the_end_of_a_key(sink, ods, tmp_path):
    """A row of its own, or a letter where no collation counts them: never the other row."""
    table = Table(columns={"code": NAME, "amount": INT}, key=("code",))
    target = ods(table)
    dead = tmp_path / "dead.jsonl"
    sink.replay([table.create({"code": "a", "amount": 1}), table.create({"code": "a ", "amount": 2})],
                dead_letter=dead)
    found = target.execute("select code, amount from items order by amount")
    if collation(target, "items", "code") == "utf8mb4_bin":
        assert found == (("a", 1),) and "blanks at its end" in reasons(dead)[0]
    else:
        assert found == (("a", 1), ("a ", 2)) and not letters_of(dead)


def test_a_key_of_many_texts(sink, ods, tmp_path):
    names = [f"k{place}" for place in range(5)]
    table = Table(columns={**{name: NAME for name in names}, "v": INT}, key=tuple(names))
    target = ods(table)
    dead = tmp_path / "dead.jsonl"
    sink.replay([table.create({**dict.fromkeys(names, "x"), "v": 1}),
                 table.create({**dict.fromkeys(names, "x" * 200), "v": 2})], dead_letter=dead)
    assert types(target)["k0"] == "varchar(153) not null"
    assert target.execute("select v from items") == ((1,),)
    assert "200 characters" in reasons(dead)[0]


def test_a_column_that_appears(sink, ods):
    """The rows that are there get its default, as they did at the source."""
    table = Table()
    target = ods(table)
    sink.replay([table.create({"id": 1, "name": "a", "amount": 1})])
    table.columns = {**table.columns, "rank": {**INT, "default": 7}, "kind": {**TEXT, "default": "o'x"},
                     "price": {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal",
                               "version": 1, "parameters": {"scale": "2",
                                                            "connect.decimal.precision": "5"}}}
    summary = sink.replay([table.create({"id": 2, "name": "b", "amount": 2, "rank": None,
                                         "kind": "k", "price": "AVQ="})])
    assert summary["pipelines"][0]["columns_added"] == 3
    assert target.rows(columns="id, `rank`, kind, price") == [
        (1, 7, "o'x", None), (2, None, "k", Decimal("3.40"))]


def test_a_default_outlives_a_change(sink, ods):
    """Of a text it is an expression, which MySQL shows in its own way."""
    table = Table(columns={"id": INT, "kind": {**TEXT, "default": "o'x\\"}, "n": {**INT, "default": 7}})
    fields = table._fields
    table._fields = lambda: [{**field, "optional": False} for field in fields()]
    target = ods(table, {"evolve": "widen"})
    sink.replay([table.create({"id": 1, "kind": "k", "n": 1})])
    assert types(target)["kind"] == "longtext not null"
    table._fields = fields
    table.columns = {**table.columns, "n": {**BIGINT, "default": 7}}
    sink.replay([table.create({"id": 2, "kind": None, "n": 2**40})])
    target.execute("insert into items (id) values (3)")
    assert target.rows(columns="id, kind, n") == [(1, "k", 1), (2, None, 2**40), (3, "o'x\\", 7)]


@pytest.mark.parametrize("evolve", ("add", "widen"))
def test_a_type_that_holds_more(sink, ods, tmp_path, evolve):
    table = Table(columns={"id": INT, "n": INT, "s": {**TEXT, "optional": False}, "day": DATE})
    target = ods(table, {"evolve": evolve})
    dead = tmp_path / "dead.jsonl"
    sink.replay([table.create({"id": 1, "n": 1, "s": "a", "day": 16576})])
    table.columns = {"id": INT, "n": BIGINT, "day": {"type": "int64", "version": 1,
                                                     "name": "io.debezium.time.Timestamp"}}
    summary = sink.replay([table.create({"id": 2, "n": 2**40, "day": 1529507596945})],
                          dead_letter=dead)
    if evolve == "widen":
        assert types(target) == {"id": "int not null", "n": "bigint", "s": "longtext",
                                 "day": "datetime(3)", "cdc_operation": "char(1)",
                                 "cdc_timestamp": "datetime(6)"}
        assert target.rows(columns="id, n, s, cast(day as char)") == [
            (1, 1, "a", "2015-05-21 00:00:00.000"), (2, 2**40, None, "2018-06-20 15:13:16.945")]
        assert summary["pipelines"][0]["columns_changed"] >= 2
    else:
        assert len(letters_of(dead)) == 1
        assert types(target)["n"] == "int"


def test_a_type_that_nothing_holds_beside_the_old(sink, ods, tmp_path):
    table = Table(columns={"id": INT, "v": DATE})
    target = ods(table, {"evolve": "widen"})
    dead = tmp_path / "dead.jsonl"
    sink.replay([table.create({"id": 1, "v": 16576})])
    older = dict(table.columns)
    table.columns = {"id": INT, "v": DOUBLE}
    sink.replay([table.create({"id": 2, "v": 1.5})], dead_letter=dead)
    assert "evolve: full keeps the column" in reasons(dead)[0]
    ods(table, {"evolve": "full"})
    sink.replay([table.create({"id": 3, "v": 1.5})])
    table.columns = older
    table._schema_text = None
    sink.replay([table.create({"id": 4, "v": 16577})])
    assert target.rows(columns="id, v, cast(v__v1 as char)") == [
        (1, None, "2015-05-21"), (3, 1.5, None), (4, None, "2015-05-22")]


def test_a_column_that_somebody_changed_is_theirs(sink, ods, tmp_path):
    table = Table(columns={"id": INT, "n": INT})
    target = ods(table, {"evolve": "full"})
    sink.replay([table.create({"id": 1, "n": 1})])
    target.execute("alter table items modify n smallint null comment 'ours'")
    table.columns = {"id": INT, "n": BIGINT}
    sink.replay([table.create({"id": 2, "n": 2**40})], dead_letter=tmp_path / "dead.jsonl")
    assert types(target)["n"] == "smallint"
    assert "out of range for smallint" in reasons(tmp_path / "dead.jsonl")[0]


def test_a_table_of_somebody_else(sink, ods):
    table = Table()
    target = ods(table)
    target.execute("create table items (ID int primary key, `name` varchar(20), "
                   "twice int generated always as (id * 2) stored, since datetime default "
                   "current_timestamp)")
    record = [table.create({"id": 1, "name": "a", "amount": 1})]
    said = sink.replay_fails(record, Exit.TARGET).stderr
    assert "has no column cdc_operation" in said
    ods(table, {"cdc_operation": "off", "cdc_timestamp": "off"})
    sink.replay(record)
    assert target.rows(columns="id, name, twice, since is not null") == [(1, "a", 2, 1)]


def test_where_a_table_goes(sink, ods, server):
    long = "n" * 70
    table = Table(columns={"id": INT, long: TEXT})
    target = ods(table, {"schema": "ods_of_${db}", "target": "t_${table}"})
    try:
        sink.replay([table.create({"id": 1, long: "x"})])
        found = types(target, "t_items", "ods_of_shop")
        assert len(found) == 4 and len(list(found)[1]) == 64 and list(found)[1].startswith("n" * 55)
    finally:
        target.execute("drop database ods_of_shop")


def test_two_sources_of_one_name(sink, ods, tmp_path):
    one, other = Table(), Table(database="archive")
    target = ods(one, topics=[one.topic, other.topic])
    dead = tmp_path / "dead.jsonl"
    records = [one.create({"id": 1, "name": "a", "amount": 1}),
               other.create({"id": 1, "name": "b", "amount": 2})]
    sink.replay(records, dead_letter=dead)
    assert target.rows() == [(1, "a", 1)]
    assert "was made from shop.items, and these are rows of archive.items" in reasons(dead)[0]
    ods(one, topics=[one.topic, other.topic], tables={"items": {"target": "items"}}, group_id="both")
    sink.replay(records)
    assert target.rows() == [(1, "b", 2)]


def test_no_table(sink, ods):
    table = Table()
    ods(table, {"create_tables": False})
    said = sink.replay_fails([table.create({"id": 1, "name": "a", "amount": 1})], Exit.TARGET).stderr
    assert "the target has no table ods_test.items" in said


def test_a_key_that_the_table_does_not_have(sink, ods, tmp_path):
    table = Table(columns={"id": INT, "name": NAME, "amount": INT})
    target = ods(table, {"cdc_operation": "off", "cdc_timestamp": "off"})
    target.execute("create table items (id int, name varchar(20) primary key, amount int)")
    dead = tmp_path / "dead.jsonl"
    sink.replay([table.create({"id": 1, "name": "a", "amount": 1})], dead_letter=dead)
    assert "no primary or unique key on exactly the key of the records (id)" in reasons(dead)[0]
    ods(table, {"cdc_operation": "off", "cdc_timestamp": "off", "key": ["name"]})
    sink.replay([table.create({"id": 1, "name": "a", "amount": 1})])
    assert target.rows() == [(1, "a", 1)]


def test_a_table_that_mysql_can_not_have(sink, ods, tmp_path):
    """Its records are letters, and the others go on."""
    wide = Table(columns={"id": INT, **{f"c{place}": INT for place in range(1100)}}, name="wide")
    table = Table()
    target = ods(table, topics=[table.topic, wide.topic])
    dead = tmp_path / "dead.jsonl"
    sink.replay([wide.create({"id": 1}), table.create({"id": 1, "name": "a", "amount": 1})],
                dead_letter=dead)
    assert "can't be made or changed" in reasons(dead)[0]
    assert target.rows() == [(1, "a", 1)]


def test_rows_without_a_schema(sink, ods):
    """Plain JSON, with a table of theirs and one that is made."""
    target = ods("plain", format="json", tables={"orders": {"key": ["id"], "topics": ["plain"]}})
    row = {"id": 1, "total": 19.99, "paid": True, "tags": ["a", "b"], "note": "x", "big": 2**63}
    sink.replay([record("plain", 0, row)])
    assert types(target, "orders")["total"].startswith("decimal(65,30)")
    found = target.execute("select id, total, paid, note, big from orders")[0]
    assert found == (1, Decimal("19.99"), 1, "x", Decimal(2**63))
    target.execute("drop table orders")
    target.execute("create table orders (id bigint unsigned primary key, total decimal(10,2), "
                   "paid tinyint(1), tags set('b','a'), note json, big bigint unsigned, "
                   "cdc_operation char(1), cdc_timestamp timestamp(6) null)")
    sink.replay([record("plain", 1, row)])
    assert target.execute("select id, total, paid, tags, cast(note as char), big from orders") == (
        (1, Decimal("19.99"), 1, "b,a", '"x"', 2**63),)


def record(topic, offset, row):
    return {"topic": topic, "partition": 0, "offset": offset, "ts": 1_760_000_000_000,
            "headers": [], "key": json.dumps({"id": row["id"]}), "payload": json.dumps(row)}


def test_source_types(sink, ods):
    table = Table(columns={"id": INT, "total": INT, "seen": INT}, schemas=False)
    target = ods(table, {"source_types": {"total": "bigint unsigned", "seen": "timestamp us"}})
    sink.replay([table.create({"id": 1, "total": -1, "seen": 1529507596945104})])
    assert types(target)["total"].startswith("bigint")
    assert target.rows(columns="id, total, cast(seen as char)") == [
        (1, 2**64 - 1, "2018-06-20 15:13:16.945104")]


def test_a_table_is_made_before_its_rows(sink, ods, tmp_path):
    """DDL commits by itself: what ends behind it leaves an empty table, and no offset."""
    table = Table(columns={"id": INT, "name": {"type": "string"}, "amount": INT})
    target = ods(table)
    records = [table.create({"id": 1, "name": "a", "amount": 1}),
               table.create({"id": 2, "name": "b", "amount": 2**40})]
    user = "create user if not exists limited@'127.0.0.1' identified by 'pw'"
    for statement in (user, "grant select, create on ods_test.* to limited@'127.0.0.1'",
                      "grant all on ods_test.ods_sink_offsets to limited@'127.0.0.1'",
                      "grant all on ods_test.ods_sink_tables to limited@'127.0.0.1'"):
        target.execute(statement)
    port = target.server.port
    limited = f"host=127.0.0.1 port={port} user=limited password=pw dbname=ods_test"
    sink.write(pipeline(table), targets=[{**target.target(), "dsn": limited}])
    sink.replay_fails(records, Exit.TARGET)
    assert target.count("items") == 0 and target.offset(table.topic) is None
    ods(table)
    sink.replay(records, dead_letter=tmp_path / "dead.jsonl")
    assert target.rows() == [(1, "a", 1)] and target.offset(table.topic) == 2


def test_two_that_make_the_same_table(sink, ods, target, tmp_path):
    table = Table()
    answers = []

    def one(number):
        own = Setup(tmp_path / str(number), sink.binary, sink.stack)
        own.write({**pipeline(table), "group_id": f"g{number}"}, targets=[target.target()])
        answers.append(own.replay([table.create({"id": number, "name": "a", "amount": 1})]))

    ods(table)
    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4 and target.count("items") == 4
    assert sum(answer["pipelines"][0]["tables_created"] for answer in answers) == 1


GOLDEN = ROOT / "tests/golden/debezium-mysql"
SOURCE_TABLES = ("alltypes", "composite", "credit_applications", "customers", "vehicle_ownership")


def statements(*beginnings):
    """Those of the captured source's tables, without its rows."""
    text = "".join((GOLDEN / name).read_text() for name in ("source.sql", "changes.sql"))
    for statement in text.replace("\n", " ").split(";"):
        if statement.strip().startswith(beginnings):
            yield statement.strip()


def shown_rows(target, table, names):
    connection = target.server.connect(target.name)
    with connection.cursor() as cursor:
        cursor.execute(f"select * from {table}")
        columns = [field[0] for field in cursor.description]
        bits = {field[0] for field in cursor.description if field[1] == BIT}
        rows = [row_text(columns, row, bits) for row in cursor.fetchall()]
    connection.close()
    return by_text([[name, spaced(name, value)] for name, value in row if name in names]
                   for row in rows)


def spaced(name, value):
    """JSON as MySQL shows it: MariaDB's has the record's own blanks."""
    return json.dumps(json.loads(value)) if value and name == "c_json" else value


@pytest.mark.parametrize("way,made", (("full", True), ("full", False), ("flat", True),
                                      ("lean", False)))
def test_from_mysql_to_mysql(sink, ods, tmp_path, way, made):
    """What Debezium sent of a MySQL becomes the rows that this MySQL had: in tables that are made, and
    in the source's own, whose columns then tell what records without schema mean."""
    target = ods("unused", {"source_types": {"c_ubig": "bigint unsigned"}, **({} if made else {
        "cdc_operation": "off", "cdc_timestamp": "off"})}, topics=["^" + way + r"\..*"])
    for statement in () if made else statements("create table", "alter table"):
        target.execute(statement)
    dead = tmp_path / "dead.jsonl"
    for table in SOURCE_TABLES:
        sink.replay(GOLDEN / f"{way}.mks_finance_dw.{table}.jsonl", dead_letter=dead)
    assert not letters_of(dead), reasons(dead)
    for table in SOURCE_TABLES:
        wanted = [json.loads(line) for line in (GOLDEN / f"expect.{table}.jsonl").open()]
        names = {name for name, _ in wanted[0]}
        assert shown_rows(target, table, names) == by_text(wanted), table
