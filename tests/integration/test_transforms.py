"""The stage between decoding and applying: filter and set, in every way a record comes in."""

import pytest

from lib.records import SHAPES, Table, pipeline, row
from lib.sink import Exit, read_lines

SET = {"type": "set", "constants": {"region": "eu", "rank": 7},
       "metadata": {"src_topic": "topic", "src_partition": "partition", "src_offset": "offset",
                    "written": "timestamp", "what": "operation", "changed": "source_timestamp",
                    "src_db": "database", "src_table": "table"}}


def rows(database, columns="id, name"):
    return database.execute(f"select {columns} from items order by 1")


@pytest.mark.parametrize("shape", SHAPES)
def test_set_adds_columns(sink, database, shape):
    table = Table(shape=shape)
    sink.write(pipeline(table, transforms=[SET], defaults={"on_delete": "soft"}),
               database=database)
    if shape.endswith("plain"):
        database.execute("create table items(id int primary key, name text, amount int, region "
                         "text, rank int, src_topic text, src_partition int, src_offset bigint, "
                         "written timestamp, what text, changed timestamp, src_db text, "
                         "src_table text, cdc_operation text, cdc_timestamp timestamptz)")
    sink.replay([table.create(row(1), ts_ms=1_760_000_001_000), table.read(row(2)),
                 table.update(row(2), row(2, 9)), table.delete(row(1), ts_ms=1_760_000_004_000)])
    found = rows(database, "id, amount, region, rank::text, src_topic, src_partition, src_offset, "
                           "what, changed::text, src_table")
    deleted, updated = found
    # A soft delete marks the row and leaves it as it was.
    assert deleted == (1, 0, "eu", "7", table.topic, 0, 0, "c", "2025-10-09 08:53:21", "items")
    assert updated[1:8] == (9, "eu", "7", table.topic, 0, 2, "u")


def test_set_takes_the_place_of_a_column(sink, database):
    table = Table()
    sink.write(pipeline(table, transforms=[{"type": "set", "constants": {"name": "hidden"}}]),
               database=database)
    sink.replay([table.create(row(1)), table.update(row(1), row(1, 5))])
    assert rows(database, "id, name, amount") == [(1, "hidden", 5)]


def test_set_of_chosen_tables(sink, database):
    one, other = Table("one"), Table("other")
    sink.write({**pipeline("^src.*"), "transforms": [
        {"type": "set", "constants": {"region": "eu"}, "tables": ["shop.one"]}]},
        database=database)
    sink.replay([one.create(row(1)), other.create(row(1))])
    assert database.execute("select region from one") == [("eu",)]
    assert database.execute("select column_name from information_schema.columns where table_name "
                            "= 'other' and column_name = 'region'") == []


def test_a_key_column_cannot_be_set(sink, database, tmp_path):
    table = Table()
    sink.write(pipeline(table, transforms=[{"type": "set", "constants": {"id": "1"}}]),
               database=database)
    letters = tmp_path / "letters.jsonl"
    sink.replay([table.create(row(1))], dead_letter=letters)
    (letter,) = read_lines(letters)
    assert "column id is in the key of table items" in str(letter)


def test_filter_lets_chosen_operations_through(sink, database):
    table = Table()
    sink.write(pipeline(table, transforms=[{"type": "filter", "op": ["c", "r", "u"]}]),
               database=database)
    summary = sink.replay([table.create(row(1)), table.update(row(1), row(1, 2)),
                           table.delete(row(1, 2)), table.tombstone(row(1))])
    assert rows(database, "id, amount, cdc_operation") == [(1, 2, "u")]
    passed = summary["pipelines"][0]["passed"]
    assert passed["filtered"] == 1 or passed["filtered"] == 2  # the tombstone may be passed over


def test_transforms_run_in_order(sink, database):
    table = Table()
    sink.write(pipeline(table, transforms=[
        {"type": "set", "constants": {"step": "first"}},
        {"type": "set", "constants": {"step": "second"}},
        {"type": "filter", "op": ["c"]}]), database=database)
    sink.replay([table.create(row(1)), table.update(row(1), row(1, 2))])
    assert rows(database, "id, amount, step") == [(1, 0, "second")]


@pytest.mark.parametrize("transform,finding", [
    ({"type": "filtre", "op": ["c"]}, "unknown transform 'filtre'; did you mean 'filter'?"),
    ({"type": "filter"}, "'op' is missing here"),
    ({"type": "filter", "op": ["x"]}, "'op' expects"),
    ({"type": "set", "metadata": {"a": "offsets"}}, "did you mean 'offset'?"),
    ({"type": "set", "op": ["c"]}, "unknown setting 'op'"),
    ({"filtr": {"op": ["c"]}}, "unknown transform 'filtr'; did you mean 'filter'?"),
    ({"set": {"a": {"lau": "1"}}}, "did you mean 'lua'?"),
    ({"filter": {"lua": "after.a >"}}, "transform filter: lua:1:"),
    ({"filter": {"where": {"a": {"matches": r"^\d+$"}}}}, "the letter d: write [0-9]"),
    ({"route": {"column": "a", "to": {r"^x[\w]": "b"}}}, "in [brackets], where it stands for itself"),
])
def test_mistakes_are_found(sink, database, transform, finding):
    sink.write(pipeline("t", transforms=[transform]), database=database)
    done = sink.check(expect=Exit.CONFIG)
    assert finding in done.stderr and "tables.yaml:" in done.stderr


def test_check_prints_them(sink, database):
    sink.write(pipeline("t", transforms=[SET, {"type": "filter", "op": ["c", "d"]}]),
               database=database)
    printed = sink.check().stdout
    assert 'pipelines[items].transforms[filter].op = ["c", "d"]' in printed
    assert 'pipelines[items].transforms[set].constants = {"region": "eu", "rank": "7"}' in printed
