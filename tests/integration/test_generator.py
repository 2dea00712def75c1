"""ods-generate: the same every time, and right: what ods-sink makes of its changes is its truth."""

import json

import pytest
import yaml
from conftest import ROOT
from lib.generator import Generator, pipeline

DERIVED = yaml.safe_load((ROOT / "examples" / "queue" / "tables.yaml").read_text())["derived"]


@pytest.fixture
def generator(sink):
    return Generator(sink)


def assert_equal(generator, database, tables, script="compare.sql"):
    found = generator.differences(database, script)
    assert set(found) == set(tables)
    assert all(rows > 5 and not missing and not wrong
               for rows, missing, wrong in found.values()), found


TABLES = ["customers", "products", "orders", "payments", "shipments"]


def test_tables_joins_and_xml(sink, generator, database):
    """All tables that are kept by ods-sink, through six changes of their schema; and what PostgreSQL
    makes of the derived tables' queries over them is what the generator says."""
    sink.write(pipeline(), database=database)
    made = generator.run("--events", 3000, "--seed", 7)
    assert made["schema_changes"] == 6 and made["deletes"] > 50
    summary = sink.replay(generator.records)
    assert (summary["applied"], summary["rejected"]) == (3000, 0)
    generator.truth(database)
    assert_equal(generator, database, [*TABLES, "returns"])
    make_derived(database)
    assert_equal(generator, database, [entry["name"] for entry in DERIVED], "compare_derived.sql")


def make_derived(database):
    """The queries' results as tables; documents that PostgreSQL can't read are left out."""
    database.execute("""
        create function readable(body text) returns boolean language plpgsql as $$
        begin
            perform * from xmltable('/*' passing (body::xml) columns a text path '.') x;
            return true;
        exception when others then
            return false;
        end $$""")
    for entry in DERIVED:
        query = entry["query"].replace(
            "from payments t", "from (select * from payments where readable(advice)) t")
        database.execute(f"create table {entry['name']} as {query}")


@pytest.mark.parametrize("options", [
    ("--numbers", "string", "--intervals", "string", "--tombstones", "--duplicates", "3"),
    ("--numbers", "double")])
def test_modes_of_the_connector(sink, generator, database, options):
    sink.write(pipeline(), database=database)
    generator.run("--events", 800, *options)
    assert sink.replay(generator.records)["rejected"] == 0
    generator.truth(database)
    assert_equal(generator, database, [*TABLES, "returns"])


def test_without_schema(sink, generator, database):
    """The target's tables tell the types, but not of what fineness a timestamp is."""
    sink.write(pipeline(tables={"ORDERS": {"source_types": {"ORDERED_AT": "timestamp us"}},
                                "PAYMENTS": {"source_types": {"BOOKED": "timestamp ns"}}}),
               database=database)
    generator.run("--events", 800, "--no-schemas", "--no-schema-changes")
    database.execute((sink.folder / "truth" / "target.sql").read_text())
    assert sink.replay(generator.records)["rejected"] == 0
    generator.truth(database)
    assert_equal(generator, database, TABLES)


def test_a_seed_repeats_it(generator):
    def made(*options):
        generator.run("--events", 500, *options)
        return generator.records.read_bytes(), truth(generator)

    def truth(generator):
        return {path.name: path.read_bytes()
                for path in sorted((generator.folder / "truth").iterdir())}

    one = made("--seed", 3)
    assert made("--seed", 3) == one
    assert made("--seed", 4) != one
    records, _ = made("--seed", 3, "--stop-after", 200)
    assert len(records.splitlines()) == 200 and one[0].startswith(records)


def test_what_happens(generator):
    """Each kind of change is among them; what refers to a row comes after it, but for customers, whose
    messages may be late."""
    generator.run("--events", 4000, "--tombstones")
    known, late, operations, headers = set(), 0, set(), set()
    for line in generator.records.read_text().splitlines():
        record = json.loads(line)
        headers.update(record["headers"][::2])
        if record["payload"] is None:
            operations.add("tombstone")
            continue
        payload = json.loads(record["payload"])["payload"]
        row, table = payload["after"] or payload["before"], payload["source"]["table"]
        operations.add(payload["op"])
        key = list(row.values())[0]
        known.add((table, key))
        if table == "ORDERS" and payload["op"] == "c":
            late += ("CUSTOMERS", row["CUSTOMER_ID"]) not in known
            assert ("PRODUCTS", row["SKU"]) in known
        elif table in ("PAYMENTS", "RETURNS") and payload["op"] == "c":
            assert ("ORDERS", row["ORDER_ID"]) in known
    assert operations == {"c", "u", "d", "r", "tombstone"} and 5 < late < 200
    assert headers == {"__debezium.newkey", "__debezium.oldkey"}


@pytest.mark.parametrize("arguments, words", [
    (["--to", "nowhere"], "--to nowhere"),
    (["--to", "file:/no/such/folder/x"], "cannot create"),
])
def test_what_it_refuses(generator, arguments, words):
    assert words in generator.run(*arguments, expect=1)


def test_wrong_options(generator):
    assert "it is a number" in generator.run("--events", "some", expect=2)
    assert "unknown" in generator.run("--numbers", "roman", expect=2)


def test_truth_is_compared_with(sink, generator, database):
    """A row that is missing, and a value that is wrong, are seen."""
    sink.write(pipeline(), database=database)
    generator.run("--events", 300, "--no-schema-changes")
    sink.replay(generator.records)
    generator.truth(database)
    database.execute("delete from orders where order_id = (select min(order_id) from orders)")
    database.execute("update products set price = price + 1 "
                     "where sku = (select min(sku) from products)")
    found = generator.differences(database)
    assert found["orders"][1:] == (1, 0) and found["products"][1:] == (1, 1)
    assert found["customers"][1:] == (0, 0)
