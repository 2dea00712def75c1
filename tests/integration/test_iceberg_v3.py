"""Tables of version 3 of Iceberg: deletion vectors and ids of rows, through what tables of version 2 go through,
and read back by the same programs."""

import pytest
from lib.lake import WHY_NOT, engine
from lib.records import Table
from test_delta_target import HARD, PARTED, parted_table, random_changes, row
from test_iceberg_changes import (  # noqa: F401: run here upon tables of version 3
    test_expired, test_kills_compaction_and_columns, test_truncate_and_history, test_what_was_sent)
from test_iceberg_target import (  # noqa: F401: likewise
    Lake, test_catalog_in_postgres, test_columns_change, test_compaction, test_history, test_killed_at_each_step,
    test_kills, test_lost_answers_and_outages, test_random_load, test_snapshots, test_soft_deletes, test_truncate,
    test_types)


@pytest.fixture
def lake(request, sink, tmp_path):
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    return Third(sink, tmp_path / "lake", request.getfixturevalue("lake_reader"))


class Third(Lake):
    version = 3

    def target(self, **settings):
        return super().target(**{"format_version": self.version, **settings})

    def ids(self):
        """Each row's id, as DuckDB tells it."""
        return {one["id"]: one["_row_id"] for one in self.ask("duckdb_iceberg", columns="id, _row_id")}


STILL = {"maintenance": {"enabled": False}}


@pytest.mark.parametrize("parts", ["", "part, bucket(3, id)"])
def test_one_vector_a_file(lake, parts):
    """Over many commits, without compaction: each data file has at most one, which says what it is of, and which
    of its rows are gone; both readers leave these out."""
    table = parted_table()
    lake.write([table], HARD, batch={"max_events": 30}, target={**STILL, "partition_by": {"items": parts} if parts else {}})
    records, state = random_changes(table)
    for start in range(0, 600, 300):
        lake.replay(records[start:start + 300])
    assert lake.seen(", ".join(PARTED)) == sorted(state.values(), key=str)
    described = lake.described()
    assert described["format"] == 3 and set(described["vectors"]) == {0, 1}
    vectors = lake.ask("iceberg_vectors")
    assert len(vectors) == sum(described["vectors"]) == described["deletes"] > 5
    for vector in vectors:
        assert vector["of"] == vector["properties"]["referenced-data-file"]
        assert vector["rows"] == len(vector["positions"]) == int(vector["properties"]["cardinality"])
        assert (vector["type"], vector["snapshot"], vector["sequence"]) == ("deletion-vector-v1", -1, -1)
        assert vector["place"] == [vector["offset"], vector["length"]]
    newest = described["snapshots"][-1]
    assert int(newest["total-position-deletes"]) == sum(vector["rows"] for vector in vectors)
    assert int(newest["total-records"]) - int(newest["total-position-deletes"]) == len(state)
    ids = lake.ask("iceberg_row_ids")
    assert ids["next"] == sum(ids["added"]) >= int(newest["total-records"])
    starts = [0]
    for added in ids["added"]:
        starts.append(starts[-1] + added)
    assert ids["first"] == starts[:-1]


def test_ids_of_rows(lake):
    """A row keeps its id while it stays as it is, also when compaction moves it."""
    table = Table()
    lake.write([table], HARD, batch={"max_events": 5}, target=STILL)
    lake.replay([table.create(row(number)) for number in range(40)])
    lake.replay([table.update(None, row(number, 1)) for number in range(0, 40, 3)])
    before = lake.ids()
    lake.write([table], HARD, batch={"max_events": 5}, target={"maintenance": {"small_files": 2}})
    said = lake.replay([table.update(None, row(number, 2)) for number in range(5)]).stderr
    assert "compacted" in said and lake.described()["files"] < 5
    after = lake.ids()
    assert {number for number in range(40) if before[number] != after[number]} == set(range(5))
    assert len(set(after.values())) == 40


def test_a_table_that_is_there_keeps_its_version(lake):
    """Whatever is set; and `check` says what is made."""
    table = Table()
    lake.version = 2
    lake.write([table], HARD, target=STILL)
    lake.replay([table.create(row(number)) for number in range(5)])
    lake.version = 3
    lake.write([table], HARD, target=STILL)
    said = lake.sink.run("check", "--connect", "-c", lake.sink.conf, expect=None).stdout  # without Kafka
    assert "new ones of version 3 of the format" in said
    lake.replay([table.update(None, row(1, 1)), table.delete(row(2))])
    assert lake.rows("id, amount") == {number: {"id": number, "amount": int(number == 1)} for number in (0, 1, 3, 4)}
    described = lake.described()
    assert described["format"] == 2 and described["deletes"] == 1 and set(described["vectors"]) == {0}


@pytest.mark.parametrize("version", (1, 4))
def test_no_other_version(lake, version):
    lake.version = version
    lake.write([Table()], HARD)
    done = lake.sink.check(expect=None)
    assert done.returncode != 0 and "format_version" in done.stdout + done.stderr
