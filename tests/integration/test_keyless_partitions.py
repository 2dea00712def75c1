"""Rows without a key in partitioned and inherited tables: an update or a delete changes one row, in
whichever part it lies. A row's ctid alone is that of a row in every part."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from lib.postgres import administer
from lib.records import INT, TEXT, Table, pipeline
from lib.sink import read_lines
from lib.waiting import wait_for

COLUMNS = {"a": INT, "r": TEXT}
TAIL = "cdc_operation text, cdc_timestamp timestamptz"

TARGETS = {
    "list": f"""
        create table t (a int, r text, {TAIL}) partition by list (r);
        create table t_x partition of t for values in ('x');
        create table t_y partition of t for values in ('y');
        create table t_z partition of t default""",
    "range": f"""
        create table t (a int, r text, {TAIL}) partition by range (r);
        create table t_x partition of t for values from (minvalue) to ('y');
        create table t_y partition of t for values from ('y') to ('z');
        create table t_z partition of t for values from ('z') to (maxvalue)""",
    "hash": f"""
        create table t (a int, r text, {TAIL}) partition by hash (r);
        create table t_0 partition of t for values with (modulus 3, remainder 0);
        create table t_1 partition of t for values with (modulus 3, remainder 1);
        create table t_2 partition of t for values with (modulus 3, remainder 2)""",
    "two levels": f"""
        create table t (a int, r text, {TAIL}) partition by list (r);
        create table t_x partition of t for values in ('x') partition by range (a);
        create table t_x1 partition of t_x for values from (minvalue) to (2);
        create table t_x2 partition of t_x for values from (2) to (maxvalue);
        create table t_y partition of t for values in ('y', 'z') partition by hash (a);
        create table t_y0 partition of t_y for values with (modulus 2, remainder 0);
        create table t_y1 partition of t_y for values with (modulus 2, remainder 1)""",
}
ROWS = [(a, r) for r in "xyz" for a in (1, 2, 3)]


def renamed(ddl, name):
    return re.sub(r"\b(table|of) t", rf"\1 {name}", ddl)


def row(a, r):
    return {"a": a, "r": r}


def rows(database, table="t", where="true"):
    return sorted(database.execute(f"select a, r from {table} where {where}"))


def write(sink, database, **defaults):
    """The table `t` without a key, of which every row comes with its before image."""
    table = Table("t", columns=COLUMNS, key=())
    sink.write(pipeline(table, defaults={"on_delete": "hard", **defaults}), database=database)
    return table


def counts(summary):
    found = summary["pipelines"][0]
    return found["upserted"], found["deleted"], found["missing"]


def of_each_kind(sink, database, **defaults):
    """A table of each kind, all in one pipeline."""
    tables = {}
    for kind, ddl in TARGETS.items():
        name = "t_" + kind.replace(" ", "_")
        database.execute(renamed(ddl, name))
        tables[name] = Table(name, columns=COLUMNS, key=())
    sink.write(pipeline(r"^src\..*", defaults={"on_delete": "hard", **defaults}), database=database)
    return tables


def test_one_row_of_all_partitions(sink, database):
    tables = of_each_kind(sink, database)
    each = tables.values()
    sink.replay([table.create(row(*values)) for table in each for values in ROWS])
    summary = sink.replay([record for table in each for record in (
        table.delete(row(1, "x")), table.update(row(2, "y"), row(20, "y")))])
    left = sorted([*ROWS, (20, "y")])
    left.remove((1, "x"))
    left.remove((2, "y"))
    assert {name: rows(database, name) for name in tables} == {name: left for name in tables}
    assert counts(summary) == (4, 4, 0)
    # To another partition and, in the same batch, on to a third and away.
    summary = sink.replay([record for table in each for record in (
        table.update(row(3, "x"), row(3, "y")), table.update(row(3, "y"), row(30, "z")),
        table.delete(row(30, "z")), table.delete(row(77, "x")),
        table.update(row(78, "x"), row(79, "x")))])
    left.remove((3, "x"))
    assert {name: rows(database, name) for name in tables} == {name: left for name in tables}
    assert counts(summary) == (8, 4, 8), "what is not there is counted"


def test_soft_deletes(sink, database):
    tables = of_each_kind(sink, database, on_delete="soft")
    sink.replay([table.create(row(*values)) for table in tables.values() for values in ROWS * 2])
    sink.replay([table.delete(row(*values)) for table in tables.values()
                 for values in ((1, "x"), (1, "x"), (1, "x"), (2, "y"))])
    for name in tables:
        assert rows(database, name, "cdc_operation = 'd'") == [(1, "x"), (1, "x"), (2, "y")], name
        assert len(rows(database, name)) == 18


def test_equal_rows_in_a_parent_and_its_children(sink, database):
    """Inheritance: the parent has rows of its own, and a child may have other columns too."""
    database.execute(f"""
        create table t (a int, r text, {TAIL});
        create table t_1 (more text default 'm') inherits (t);
        create table t_2 () inherits (t_1);
        insert into t select 1, 'x' from generate_series(1, 2);
        insert into t_1 select 1, 'x' from generate_series(1, 2);
        insert into t_2 select 1, 'x' from generate_series(1, 2);
        insert into t values (2, 'y'); insert into t_1 values (3, 'y'); insert into t_2 values (4, 'y')""")
    table = write(sink, database)
    assert counts(sink.replay([table.delete(row(1, "x"))])) == (0, 1, 0)
    assert counts(sink.replay([table.delete(row(1, "x")) for _ in "12"])) == (0, 2, 0)
    assert rows(database, where="a = 1") == [(1, "x")] * 3
    assert counts(sink.replay([table.update(row(1, "x"), row(9, "x"))])) == (1, 0, 0)
    assert rows(database) == [(1, "x")] * 2 + [(2, "y"), (3, "y"), (4, "y"), (9, "x")]
    sink.replay([table.delete(row(1, "x")) for _ in range(3)])
    assert rows(database) == [(2, "y"), (3, "y"), (4, "y"), (9, "x")]


@pytest.mark.parametrize("what", ["delete from {}", "update {} set a = 5"])
def test_an_equal_row_that_another_lane_takes(sink, database, what):
    """Of two equal rows the other lane has one at the same time: then the second is taken."""
    database.execute(TARGETS["list"])
    table = write(sink, database)
    sink.replay([table.create(row(1, "x")), table.create(row(1, "x"))])
    other = database.connect()
    other.autocommit = False
    with other.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute(what.format("t") + " where ctid = (select min(ctid) from t)")
        replay = pool.submit(sink.replay, [table.delete(row(1, "x"))])
        wait_for(lambda: replay.done() or database.value(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' "
            "and datname = current_database()"))
        other.commit()
        assert counts(replay.result()) == (0, 1, 0)
    other.close()
    assert rows(database) == ([] if "delete" in what else [(5, "x")])


def test_a_table_with_a_rule(sink, database):
    database.execute(f"create table t (a int, r text, {TAIL}); create table gone (a int); "
                     "create rule noted as on delete to t do also insert into gone values (old.a)")
    table = write(sink, database)
    sink.replay([table.create(row(1, "x")), table.create(row(1, "x"))])
    assert counts(sink.replay([table.delete(row(1, "x"))])) == (0, 1, 0)
    assert rows(database) == [(1, "x")]


def test_a_view_of_a_partitioned_table(sink, database):
    """Refused, and not guessed: a view has no ctid."""
    database.execute(TARGETS["list"] + "; create view v as select * from t")
    table = Table("v", columns=COLUMNS, key=())
    sink.write(pipeline(table, defaults={"on_delete": "hard"}), database=database)
    letters = sink.folder / "letters.jsonl"
    sink.replay([table.create(row(1, "x")), table.create(row(1, "y")), table.delete(row(1, "x"))],
                dead_letter=letters)
    assert rows(database) == [(1, "x"), (1, "y")] and len(read_lines(letters)) == 1


@pytest.fixture
def elsewhere(stack, databases):
    """A database, and one whose tables it sees as foreign ones."""
    database, other = databases(), databases()
    administer(stack, f"""
        create extension postgres_fdw;
        create server other foreign data wrapper postgres_fdw
            options (host '127.0.0.1', port '{stack['POSTGRES_PORT']}',
                     dbname '{other.name}');
        create user mapping for ods server other options (user 'ods', password
            '{stack['POSTGRES_PASSWORD']}');
        grant usage on foreign server other to ods""", database.name)
    return database, other


def test_foreign_partitions(sink, elsewhere):
    """Of a foreign table that is partitioned itself, one place may be that of several rows: then
    nothing is changed, and the record is a dead letter."""
    database, other = elsewhere
    other.execute(f"create table far_y (a int, r text, {TAIL})")
    other.execute(renamed(TARGETS["two levels"], "far_t"))
    database.execute(f"""
        create table t (a int, r text, {TAIL}) partition by list (r);
        create table t_x partition of t for values in ('x');
        create foreign table t_y partition of t for values in ('y') server other
            options (table_name 'far_y');
        create foreign table t_w ({"a int, r text, " + TAIL}) server other options (table_name 'far_t')""")
    table = write(sink, database)
    sink.replay([table.create(row(*values)) for values in ROWS if values[1] != "z"])
    sink.replay([table.delete(row(1, "x")), table.delete(row(1, "y")), table.update(row(2, "y"),
                                                                                  row(5, "y"))])
    assert rows(database) == [(2, "x"), (3, "x"), (3, "y"), (5, "y")]
    far = Table("t_w", columns=COLUMNS, key=())
    sink.write(pipeline(far, defaults={"on_delete": "hard"}), database=database)
    sink.replay([far.create(row(*values)) for values in ROWS])
    letters = sink.folder / "letters.jsonl"
    sink.replay([far.delete(row(2, "x")), far.create(row(4, "x"))], dead_letter=letters)
    assert len(read_lines(letters)) == 1
    assert rows(other, "far_t") == sorted([*ROWS, (4, "x")])
