"""A lane keeps a bounded number of statements prepared, whatever sets of columns its changes have."""

import pytest
from lib.records import INT, TEXT, Table, pipeline

UNAVAILABLE = "__debezium_unavailable_value"
TOAST = [f"big{number}" for number in range(6)]
COLUMNS = {"id": INT, **dict.fromkeys(TOAST, TEXT), "note": TEXT}


def watched(database):
    """Each row that is written notes how many statements its session has prepared."""
    database.execute("""
        create table seen (statements bigint);
        create table items (id integer primary key, big0 text, big1 text, big2 text, big3 text,
            big4 text, big5 text, note text, cdc_operation text, cdc_timestamp timestamp);
        create function look() returns trigger language plpgsql as $$ begin
            insert into seen select count(*) from pg_prepared_statements; return new; end $$;
        create trigger look before insert or update on items for each row execute function look()""")


def sets_of_columns(items):
    """A row, and one change of it for each set of values that stayed as they were."""
    row = {"id": 1, **{name: f"{name} at first" for name in TOAST}, "note": "made"}
    yield items.create(row)
    for number in [*range(64), *range(0, 64, 7)]:
        after = {**row, "note": f"{number}", **{
            name: UNAVAILABLE if number >> place & 1 else f"{name} of {number}"
            for place, name in enumerate(TOAST)}}
        yield items.update(row, after)


def last_row():
    """As each change by itself would leave it."""
    row = {name: f"{name} at first" for name in TOAST}
    for number in [*range(64), *range(0, 64, 7)]:
        row.update({name: f"{name} of {number}" for place, name in enumerate(TOAST)
                    if not number >> place & 1})
    return (*row.values(), f"{number}")


@pytest.mark.parametrize("most, rows_a_batch", [(0, 1), (1, 2), (4, 1), (4, 5), (500, 1)])
def test_statements_are_bounded(sink, database, most, rows_a_batch):
    watched(database)
    items = Table(columns=COLUMNS)
    target = [{"name": "ods", "type": "postgres", "dsn": database.dsn,
               "max_prepared_statements": most}]
    sink.write(pipeline(items), targets=target, batch={"max_events": rows_a_batch})
    summary = sink.replay(sets_of_columns(items))
    assert summary["rejected"] == 0
    assert database.execute(f"select {', '.join(TOAST)}, note from items") == [last_row()]
    kept = database.value("select max(statements) from seen")
    assert kept == most if most < 64 else 60 < kept < 70


def test_many_sets_in_one_batch(sink, database):
    """More than fit, of rows of their own: what finds no room is sent without a name."""
    watched(database)
    items = Table(columns=COLUMNS)
    target = [{"name": "ods", "type": "postgres", "dsn": database.dsn,
               "max_prepared_statements": 10}]
    sink.write(pipeline(items), targets=target)
    row = {**dict.fromkeys(TOAST, "there"), "note": "n"}
    sink.replay([items.create({**row, "id": number}) for number in range(64)])
    changes = [items.update({**row, "id": number}, {**row, "id": number, "note": "m", **{
        name: UNAVAILABLE if number >> place & 1 else "new" for place, name in enumerate(TOAST)}})
        for number in range(64)]
    sink.replay(changes)
    assert database.value("select max(statements) from seen") <= 10
    for number in (0, 21, 63):
        assert database.execute(f"select {', '.join(TOAST)} from items where id = %s", number) == \
            [tuple("there" if number >> place & 1 else "new" for place in range(6))]


def test_a_refused_row_among_them(sink, database, tmp_path):
    """Transactions that go back to a savepoint, and statements that were prepared behind it."""
    watched(database)
    database.execute("alter table items add check (note <> 'bad')")
    items = Table(columns=COLUMNS)
    target = [{"name": "ods", "type": "postgres", "dsn": database.dsn,
               "max_prepared_statements": 6}]
    sink.write(pipeline(items), targets=target, batch={"max_events": 40})
    row = {**dict.fromkeys(TOAST, "there"), "note": "n"}
    records = [items.create({**row, "id": number}) for number in range(64)]
    records += [items.update({**row, "id": number}, {
        **row, "id": number, "note": "bad" if number % 9 == 0 else "m", **{
            name: UNAVAILABLE if number >> place & 1 else "new"
            for place, name in enumerate(TOAST)}}) for _ in range(2) for number in range(64)]
    summary = sink.replay(records, dead_letter=tmp_path / "letters")
    assert summary["rejected"] == 16
    assert database.value("select count(*) from items where note = 'm'") == 56
    assert database.value("select max(statements) from seen") <= 6


def test_the_metric(sink, database, kafka, table):
    sink.write(pipeline(table), database=database, kafka=True, lanes=1)
    kafka.produce([table.create({"id": 1, "name": "n", "amount": 1}),
                   table.delete({"id": 2, "name": "n", "amount": 1})])
    daemon = sink.daemon()
    daemon.await_that(lambda: (daemon.metric("ods_sink_prepared_statements") or 0) >= 1, 60,
                      "a statement")
    daemon.stop()
