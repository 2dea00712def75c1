"""A view that bears the name of a history's own, and is somebody else's, is left as it is."""

from lib.records import TEXT, Table, pipeline, row


def test_a_view_that_somebody_else_made(sink, database):
    database.execute("create view items_asof as select 7 as mine")
    table = Table()
    sink.write({**pipeline(table), "defaults": {"history": {"view": True}, "create_tables": True,
                                                "mode": "both", "evolve": "add"}},
               database=database)
    sink.replay([table.create(row(1))])
    assert database.execute("select * from items_asof") == [(7,)]
    assert database.count("items_cdc") == 1

    # Once it is gone there is the sink's own, which is renewed with the table.
    database.execute("drop view items_asof")
    table.columns = {**table.columns, "note": TEXT}
    sink.replay([table.create({**row(2), "note": "n"})])
    assert database.execute("select id, note from items_asof order by id") == [(1, None), (2, "n")]
