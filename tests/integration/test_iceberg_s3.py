"""Tables of Iceberg in a storage that speaks as S3 does, their catalog in a file: killed at each step of a
commit, answers lost, compacted, and read by PyIceberg."""

import pytest
from lib.lake import WHY_NOT, engine
from lib.records import Table
from test_delta_target import row, two_tables
from test_lake_s3 import Bucket, storage  # noqa: F401: a fixture

STEPS = ("data", "deletes", "commit", "committed")


@pytest.fixture
def bucket(request, sink):
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    return Ice(sink, request.getfixturevalue("storage"), request.getfixturevalue("lake_reader"), request.node.name)


class Ice(Bucket):
    def write(self, *tables, **settings):
        super().write(*tables, type="iceberg", catalog={"uri": f"sqlite://{self.catalog}"}, **settings)

    @property
    def catalog(self):
        return self.sink.folder / "catalog.sqlite"

    def ask(self, word, table="items", **options):
        return self.reader.ask(word, self.place(table), catalog=str(self.catalog), storage=self.storage.options, **options)

    def rows(self, table="items"):
        found = self.ask("pyiceberg", table, columns="id, name, amount")
        rows = {one["id"]: one for one in found}
        assert len(rows) == len(found), "a key is there twice"
        return rows


def test_killed_and_lost_in_s3(bucket):
    items, others, first, second, state = two_tables()
    bucket.write(items, others)
    bucket.replay(first)
    for step in STEPS:
        bucket.replay(second, env={"ODS_LAKE_FAULT": f"kill:{step}:1"}, expect=-9)
    assert bucket.rows("items") == state != bucket.rows("others"), "the second's commit is left for the lost answer"
    bucket.replay(second, env={"ODS_LAKE_FAULT": "lost:commit:1"})
    for table in ("items", "others"):
        assert bucket.rows(table) == state
        snapshots = bucket.ask("iceberg_described", table)["snapshots"]
        names = [s["ods.commit"] for s in snapshots if s["operation"] != "replace"]  # which put files together
        assert len(names) == len(set(names)) == 2, "written twice"


def test_compaction_in_s3(bucket):
    """Files of snapshots that have expired go from the bucket too, in their time."""
    table = Table()
    bucket.write(table, batch={"max_events": 5}, maintenance={"small_files": 4, "checkpoint_every": 5, "snapshots": 3, "keep_for": "0s", "busy_percent": 100})
    done = bucket.replay([table.create(row(number)) for number in range(40)] +
                         [table.delete(row(number)) for number in range(0, 40, 2)])
    assert "compacted" in done.stderr
    assert bucket.rows() == {number: row(number) for number in range(1, 40, 2)}
    described = bucket.ask("iceberg_described")
    assert described["files"] < 8 and len(described["snapshots"]) <= 3 + 5
