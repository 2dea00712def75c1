"""The example of several storages in one configuration: each command of its README, on the real servers, and
what is in each of them in the end."""

import pytest
from lib.lake import WHY_NOT, engine
from lib.postgres import Database, administer
from lib.waiting import wait_for
from test_examples import connector, shell  # noqa: F401: fixtures

TABLE, NAME = "cross_orders", "cross_storage"
pytestmark = pytest.mark.timeout(900)


def test_cross_storage(shell, postgres_source, kafka, sink, connector, tmp_path, request):  # noqa: F811
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    reader, lake = request.getfixturevalue("lake_reader"), tmp_path / "lake"
    source = Database(postgres_source, postgres_source["POSTGRES_SOURCE_DATABASE"], "POSTGRES_SOURCE")
    source.execute(f"set client_min_messages = warning; drop table if exists {TABLE}")
    connector(NAME)
    example, database = shell("cross-storage", ODS_LAKE_FOLDER=str(lake), MASK_KEY="a key of at least 16 bytes")
    try:
        example.next()

        def rows():
            return database.execute("select order_id, email, amount, state from lake.cross_orders order by 1")

        def ice():
            found = reader.ask("pyiceberg", lake / "ice" / "public" / TABLE,
                               columns="order_id, email, amount, state")
            return sorted((one["order_id"], one["email"], str(one["amount"]), one["state"]) for one in found)

        wait_for(lambda: database.exists("lake.cross_orders") and len(rows()) == 100, 120,
                 lambda: example.log.read_text()[-3000:])
        example.next()
        wanted = source.execute(f"select order_id, email, amount, state from {TABLE} order by 1")
        assert len(wanted) == 91
        wait_for(lambda: rows() == wanted, 60, lambda: example.log.read_text()[-3000:])
        kept = [(number, str(amount), state) for number, _, amount, state in wanted if state != "draft"]
        wait_for(lambda: [(number, amount, state) for number, _, amount, state in ice()] == kept, 60,
                 lambda: f"{ice()}\n{example.log.read_text()[-3000:]}")
        assert not any("@" in email for _, email, _, _ in ice())
        said = example.next()
        assert "rows in all" in said and "91" in said and "from-delta" in said
        example.end()
    finally:
        example.close()
        postgres_source.connector("delete", "--offsets", f"name={NAME}")
        slots = f"from pg_replication_slots where slot_name = '{NAME}'"
        wait_for(lambda: source.value(f"select count(*) {slots} and active") == 0, 60, "the slot is free")
        administer(postgres_source, f"select pg_drop_replication_slot(slot_name) {slots}")
        source.execute(f"drop table if exists {TABLE}")
        source.close()
