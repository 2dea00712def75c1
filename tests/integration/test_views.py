"""A view as target: its INSTEAD OF triggers write the rows, or PostgreSQL does where it is simple.
Without a unique index there is no "on conflict": rows that are there are updated, others inserted."""

import pytest

from lib.records import BIGINT, INT, TEXT, Table, pipeline

TRIGGERS = """
create table people (id int primary key, name text not null, op text, at timestamptz);
create table amounts (person int primary key references people on delete cascade, amount int);
create table calls (what text);
create view items as
    select id, name, amount, op as cdc_operation, at as cdc_timestamp
    from people left join amounts on person = id;
create function items_write() returns trigger language plpgsql as $$
begin
    insert into calls values (tg_op);
    if tg_op = 'DELETE' then
        delete from people where id = old.id;
        return old;
    elsif tg_op = 'INSERT' then
        insert into people values (new.id, new.name, new.cdc_operation, new.cdc_timestamp);
        insert into amounts values (new.id, new.amount);
    else
        update people set name = new.name, op = new.cdc_operation, at = new.cdc_timestamp
            where id = old.id;
        update amounts set amount = new.amount where person = old.id;
    end if;
    return new;
end $$;
create trigger write instead of insert or update or delete on items
    for each row execute function items_write();
"""
SIMPLE = """
create table base (key int primary key, label text, amount int, op text, at timestamptz,
                   more text default 'kept');
create view items as select key as id, label as name, amount, op as cdc_operation,
                            at as cdc_timestamp from base;
"""


def story(table):
    one, two, three = ({"id": number, "name": f"n{number}", "amount": number * 10}
                       for number in (1, 2, 3))
    return [table.read(one), table.create(two), table.create(three),
            table.update(one, {**one, "name": "changed"}), table.delete(two),
            table.read(three), table.delete(three), table.create({**three, "amount": None})]


@pytest.mark.parametrize("view", [TRIGGERS, SIMPLE], ids=["triggers", "simple"])
@pytest.mark.parametrize("on_delete", ["soft", "hard"])
@pytest.mark.parametrize("cut", [1, 3, 8])
def test_keyed_view(sink, database, view, on_delete, cut):
    database.execute(view)
    table = Table()
    sink.write(pipeline(table, defaults={"on_delete": on_delete}), database=database)
    records = story(table)
    for start in range(0, len(records), cut):
        summary = sink.replay(records[start:start + cut])
        assert summary["pipelines"][0]["rejected"] == {"decode": 0, "apply": 0}
    gone = [(2, "n2", 20, "d")] if on_delete == "soft" else []
    assert database.execute("select id, name, amount, cdc_operation from items order by id") == \
        [(1, "changed", 10, "u"), *gone, (3, "n3", None, "c")]


def test_many_rows_of_a_view(sink, database):
    """Batches large enough for everything that is quick where a table has a unique index."""
    database.execute(TRIGGERS)
    table = Table()
    sink.write(pipeline(table, defaults={"on_delete": "hard"}), database=database)
    rows = [{"id": number, "name": "n", "amount": number} for number in range(500)]
    sink.replay([table.create(row) for row in rows])
    sink.replay([table.create(row) for row in rows[:250]] +
                [table.update(row, {**row, "amount": -1}) for row in rows[250:]])
    assert database.execute("select count(*), count(*) filter (where amount = -1) from items") == \
        [(500, 250)]
    assert database.value("select count(*) from calls where what = 'INSERT'") == 500


def test_truncate_of_a_view(sink, database):
    database.execute(TRIGGERS)
    table = Table()
    sink.write(pipeline(table, defaults={"on_truncate": "apply", "on_delete": "hard"}), database=database)
    sink.replay([table.create({"id": 1, "name": "n", "amount": 1})])
    sink.replay([table.truncate(), table.create({"id": 2, "name": "n", "amount": 2})])
    assert database.execute("select id from items") == [(2,)]


def test_a_row_that_a_trigger_refuses_stands_alone(sink, database, tmp_path):
    database.execute(TRIGGERS)
    table = Table()
    sink.write(pipeline(table), database=database)
    rows = [{"id": 1, "name": "n", "amount": 1}, {"id": 2, "name": None, "amount": 2},
            {"id": 3, "name": "n", "amount": 3}]
    summary = sink.replay([table.create(row) for row in rows], dead_letter=tmp_path / "dead")
    assert summary["pipelines"][0]["rejected"]["apply"] == 1
    assert database.execute("select id from items order by id") == [(1,), (3,)]


def test_keyless_view_only_takes_inserts(sink, database, tmp_path):
    database.execute(SIMPLE)
    table = Table(key=())
    sink.write(pipeline(table), database=database)
    row = {"id": 1, "name": "n", "amount": 1}
    summary = sink.replay([table.create(row), table.update(row, {**row, "amount": 2})],
                          dead_letter=tmp_path / "dead")
    assert summary["pipelines"][0]["rejected"]["apply"] == 1
    assert "is a view" in (tmp_path / "dead").read_text()
    assert database.execute("select id, amount from items") == [(1, 1)]


# --- other targets that are no plain table of ours --------------------------------------------


def test_partitioned_target(sink, database):
    database.execute("create table items (id int, name text, amount int, cdc_operation text, "
                     "cdc_timestamp timestamptz, primary key (id)) partition by range (id)")
    database.execute("create table items_low partition of items for values from (0) to (100)")
    database.execute("create table items_high partition of items for values from (100) to (200)")
    table = Table()
    sink.write(pipeline(table, defaults={"on_delete": "hard"}), database=database)
    rows = [{"id": number, "name": "n", "amount": number} for number in (1, 99, 100, 150)]
    sink.replay([table.create(row) for row in rows])
    sink.replay([table.update(rows[0], {**rows[0], "amount": 5}), table.delete(rows[3])])
    assert database.execute("select id, amount from items order by id") == \
        [(1, 5), (99, 99), (100, 100)]


def test_a_row_without_partition_is_a_dead_letter(sink, database, tmp_path):
    database.execute("create table items (id int primary key, name text, amount int, "
                     "cdc_operation text, cdc_timestamp timestamptz) partition by range (id)")
    database.execute("create table items_low partition of items for values from (0) to (100)")
    table = Table()
    sink.write(pipeline(table), database=database)
    summary = sink.replay([table.create({"id": number, "name": "n", "amount": 1})
                           for number in (1, 500)], dead_letter=tmp_path / "dead")
    assert summary["pipelines"][0]["rejected"]["apply"] == 1
    assert database.execute("select id from items") == [(1,)]


def test_identity_always_and_columns_of_its_own(sink, database):
    """The key is written over the identity; what the source lacks is left to the table."""
    database.execute("""create table items (
        id bigint generated always as identity primary key, name text, amount int,
        cdc_operation text, cdc_timestamp timestamptz,
        doubled int generated always as (amount * 2) stored, seen timestamptz default now(),
        note text not null default 'new')""")
    table = Table(columns={"id": BIGINT, "name": TEXT, "amount": INT, "doubled": INT})
    sink.write(pipeline(table), database=database)
    row = {"id": 7, "name": "n", "amount": 1, "doubled": 99}
    sink.replay([table.create(row)])
    database.execute("update items set note = 'mine'")
    sink.replay([table.update(row, {**row, "amount": 3})])
    assert database.execute("select id, amount, doubled, note, seen is not null from items") == \
        [(7, 3, 6, "mine", True)]
