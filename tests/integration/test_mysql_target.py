"""The MySQL target on MySQL and MariaDB: rows by upsert, each change exactly once."""

import json

import pytest

from lib.mysql_target import Database, server  # noqa: F401 (a fixture)
from lib.records import INT, SHAPES, TEXT, Table, pipeline, row
from lib.sink import Exit

MADE = {"create_tables": True, "evolve": "add", "on_delete": "hard"}
BARE = {"cdc_operation": "off", "cdc_timestamp": "off"}  # of tables that have no such columns


@pytest.fixture
def target(server, request):
    target = Database(server, "ods_test")
    yield target
    target.close()


@pytest.fixture
def ods(sink, target):
    """Configure a pipeline into the database; what a replay of records answers."""
    def configure(table, settings=None, options=None, **more):
        sink.write({**pipeline(table), **more, "defaults": {**MADE, **(settings or {})}},
                   targets=[target.target(**(options or {}))])
        return target
    return configure


def letters_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("shape", SHAPES)
def test_changes_become_rows(sink, ods, shape):
    table = Table(shape=shape)
    target = ods(table)
    records = [table.create(row(1)), table.create(row(2)), table.update(row(1), row(1, 5)),
               table.delete(row(2)), table.read(row(3))]
    sink.replay(records)
    assert target.rows() == [(1, "n1", 5), (3, "n3", 0)]
    assert target.offset(table.topic) == 5
    sink.replay(records)  # the stored offset says that all of it is there
    assert target.rows() == [(1, "n1", 5), (3, "n3", 0)]


def test_one_key_in_one_batch(sink, ods):
    """The last word wins; a delete and a create of one key are both seen."""
    table = Table()
    target = ods(table)
    sink.replay([table.create(row(1)), table.update(row(1), row(1, 1)), table.delete(row(1, 1)),
                 table.create(row(1, 7)), table.create(row(2)), table.delete(row(2)),
                 table.delete(row(9))])
    assert target.rows() == [(1, "n1", 7)]


def test_a_changed_key(sink, ods):
    table = Table()
    target = ods(table)
    sink.replay([table.create(row(1, 4)), table.delete(row(1, 4)),
                 table.tombstone(row(1)), table.create(row(10, 4))])
    assert target.rows() == [(10, "n10", 4)]


def test_soft_deletes(sink, ods):
    table = Table()
    target = ods(table, {"on_delete": "soft"})
    sink.replay([table.create(row(1)), table.create(row(2)), table.delete(row(1)),
                 table.tombstone(row(1))])
    assert target.rows(columns="id, cdc_operation, cdc_timestamp is null") == \
        [(1, "d", 0), (2, "c", 0)]


def test_absent_is_not_null(sink, ods):
    """A record that lacks a column leaves what stands there; one that is to be made gets none."""
    table = Table(schemas=False)
    target = ods(table, BARE)
    target.execute("create table items (id int primary key, name varchar(20) not null, amount int)")
    sink.replay([table.create(row(1, 5))])
    lean = Table(schemas=False, columns={"id": INT, "amount": INT})
    lean._offsets = dict(table._offsets)
    letters = sink.folder / "letters.jsonl"
    sink.replay([lean.update({"id": 1, "amount": 5}, {"id": 1, "amount": 6}),
                 lean.update({"id": 2, "amount": 5}, {"id": 2, "amount": 6}),
                 lean.update({"id": 1, "amount": 6}, {"id": 1, "amount": None})],
                dead_letter=letters)
    assert target.rows() == [(1, "n1", None)]
    assert len(letters_of(letters)) == 1  # row 2: it is not there, and its name can't be told


def test_a_poisoned_change(sink, ods):
    """Bad rows are letters, their neighbours are applied: found by the server and by ourselves."""
    table = Table()
    target = ods(table, BARE)
    target.execute("create table items (id int primary key, name varchar(20), amount int, "
                   "check (amount <> 13))")
    letters = sink.folder / "letters.jsonl"
    records = [table.create(row(number, 13 if number in (7, 700, 999) else number))
               for number in range(1, 1001)]
    records.append(table.create({**row(1001), "name": "x" * 21}))
    sink.replay(records, dead_letter=letters)
    if target.server.flavour == "mysql":  # 8.0.15 reads checks and forgets them
        assert target.count("items") == 1000 and len(letters_of(letters)) == 1
    else:
        assert target.count("items") == 996 and len(letters_of(letters)) == 5  # 13 as well
    assert target.value("select max(length(name)) from items") <= 20
    assert target.offset(table.topic) == 1001


def test_a_trigger_that_refuses(sink, ods):
    table = Table()
    target = ods(table, BARE)
    target.execute("create table items (id int primary key, name varchar(20), amount int)")
    target.execute("create trigger t before insert on items for each row begin if new.amount = 13 "
                   "then signal sqlstate '45000' set message_text = 'unlucky'; end if; end")
    letters = sink.folder / "letters.jsonl"
    sink.replay([table.create(row(1)), table.create(row(2, 13)), table.create(row(3))],
                dead_letter=letters)
    assert [found[0] for found in target.rows()] == [1, 3]
    (letter,) = letters_of(letters)
    assert "unlucky" in json.dumps(letter)


def test_a_second_unique_key_redirects_no_row(sink, ods):
    """ON DUPLICATE KEY would write over the row that has the name; it stays as it is."""
    table = Table()
    target = ods(table, BARE)
    target.execute("create table items (id int primary key, name varchar(20), amount int, "
                   "unique (name))")
    target.execute("insert into items values (1, 'taken', 1)")
    letters = sink.folder / "letters.jsonl"
    sink.replay([table.create({"id": 2, "name": "taken", "amount": 2}), table.create(row(3))],
                dead_letter=letters)
    assert target.rows() == [(1, "taken", 1), (3, "n3", 0)]
    assert len(letters_of(letters)) == 1


@pytest.mark.parametrize("null", ["null", "not null"])
def test_unique_values_change_hands(sink, ods, null):
    """Handed on along a chain, and swapped: in one batch, in whatever order the rows are written."""
    table = Table()
    target = ods(table, BARE)
    target.execute(f"create table items (id int primary key, name varchar(20) {null}, amount int, "
                   "unique (name))")
    letters = sink.folder / "letters.jsonl"
    named = lambda number, name: {"id": number, "name": name, "amount": 0}  # noqa: E731
    sink.replay([table.create(named(number, f"n{number}")) for number in range(1, 6)])
    sink.replay([
        table.update(named(1, "n1"), named(1, "x")), table.create(named(9, "n1")),  # handed on
        table.update(named(2, "n2"), named(2, "y")), table.update(named(3, "n3"), named(3, "n2")),
        table.update(named(2, "y"), named(2, "n3")),  # swapped
        table.delete(named(4, "n4")), table.create(named(8, "n4")),
        table.update(named(5, "n5"), named(5, "x")),  # refused: row 1 has it
    ], dead_letter=letters)
    assert {(found[0], found[1]) for found in target.rows()} == {
        (1, "x"), (2, "n3"), (3, "n2"), (5, "n5"), (8, "n4"), (9, "n1")}
    assert len(letters_of(letters)) == 1


def test_keys_that_a_collation_calls_equal(sink, ods):
    """Case and accents: the source tells them apart, the target does not; the last one counts."""
    table = Table(columns={"id": TEXT, "amount": INT})
    target = ods(table, BARE)
    target.execute("create table items (id varchar(20) character set utf8mb4 "
                   "collate utf8mb4_general_ci primary key, amount int)")
    of = lambda key, amount: {"id": key, "amount": amount}  # noqa: E731
    sink.replay([table.create(of("a", 1)), table.create(of("b", 2)), table.delete(of("a", 1)),
                 table.create(of("A", 3)), table.create(of("é", 4)), table.delete(of("é", 4)),
                 table.create(of("E", 5)), table.create(of("ü", 6)), table.delete(of("B", 2))])
    assert target.rows(columns="id, amount") == [("A", 3), ("E", 5), ("ü", 6)]


def test_a_table_without_a_key(sink, ods):
    table = Table(key=())
    target = ods(table, {"keyless": "match_before", **BARE})
    target.execute("create table items (id int, name varchar(20), amount int)")
    sink.replay([table.create(row(1)), table.create(row(1)), table.create(row(2)),
                 table.update(row(1), row(1, 9)), table.delete(row(2))])
    assert sorted(target.rows()) == [(1, "n1", 0), (1, "n1", 9)]


def test_a_truncate(sink, ods):
    table = Table()
    target = ods(table, {"on_truncate": "apply"})
    sink.replay([table.create(row(1)), table.truncate(), table.create(row(2))])
    assert target.rows() == [(2, "n2", 0)]


def test_a_snapshot_is_loaded(sink, ods, target):
    """By LOAD DATA: escapes, NULL, and rows that are there already."""
    table = Table()
    target = ods(table)
    texts = ["tab\there", "line\nend", "back\\slash", "\\N", "quote'\"", "ünïcödé 🎉", "", None]
    rows = [{"id": number, "name": texts[number % len(texts)], "amount": number}
            for number in range(1, 501)]
    sink.replay([table.read(each) for each in rows])
    assert target.rows() == [(each["id"], each["name"], each["amount"]) for each in rows]
    again = Table()
    again._offsets = dict(table._offsets)
    sink.replay([again.read({**each, "amount": 1}) for each in rows])
    assert target.count("items", "amount = 1") == 500
    assert target.offset(table.topic) == 1000
