"""resync --snapshot of a table in a lake: a real connector sends all rows once more, and what is missing or wrong
is right in the end; what the source does not have is named by verify, and erase takes it out."""

import json

import pytest
from lib.connect import Connect, follow_postgres
from lib.kafka import Kafka
from lib.lake import WHY_NOT, Missing, engine
from lib.postgres import Database
from lib.sink import Exit

ROWS = 30
KINDS = ("delta", "iceberg")


@pytest.fixture
def world(request, stack, postgres_source, sink, prefix, tmp_path):
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    source = Database(stack, stack["POSTGRES_SOURCE_DATABASE"], "POSTGRES_SOURCE")
    source.execute("drop table if exists stock; create table stock (id int primary key, v int); "
                   f"insert into stock select n, n from generate_series(1, {ROWS}) n")
    Kafka(stack).create(f"{prefix}.public.stock", 2 * ROWS)  # so that there are partitions without a record
    slot = follow_postgres(stack, source, prefix, "public.stock")
    source_of = {"source": {"connector": "postgresql"}, "database": "shop", "defaults": {"on_delete": "hard"}}
    sink.write(*({"name": kind, "topics": [f"{prefix}.public.stock"], "format": "debezium", "target": kind,
                  **source_of} for kind in KINDS),
               targets=[{"name": kind, "type": kind, "location": str(tmp_path / kind), "commit_ms": 50}
                        for kind in KINDS],
               kafka=True, connect={"url": stack["CONNECT_URL"]},
               databases=[{"name": "shop", "type": "postgres", "slot": slot, "dsn": source.dsn}])
    made = World(source, sink, request.getfixturevalue("lake_reader"), tmp_path)
    daemon = sink.daemon()
    daemon.await_that(lambda: all(len(made.rows(kind)) == ROWS for kind in KINDS), 120, "the snapshot")
    yield made
    daemon.stop()
    Connect(stack["CONNECT_URL"]).insist("DELETE", f"/connectors/{prefix}")
    source.execute("drop table stock; drop table beat")
    source.close()


class World:
    def __init__(self, source, sink, reader, folder):
        self.source, self.sink, self.reader, self.folder = source, sink, reader, folder

    def path(self, kind):
        return self.folder / kind / "public" / "stock"

    def rows(self, kind):
        word = "deltalake" if kind == "delta" else "pyiceberg"
        try:
            return {row["id"]: row["v"] for row in self.reader.ask(word, self.path(kind), columns="id, v")}
        except Missing:  # it is not made yet
            return {}

    def run(self, command, kind, *arguments, expect=Exit.OK):
        done = self.sink.run(command, "-c", self.sink.conf, "--json", "--pipeline", kind, *arguments, expect=expect,
                             env={"XDG_STATE_HOME": str(self.folder / "state")})
        return json.loads(done.stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_put_right_in_place(world, kind):
    rows = {number: number for number in range(1, ROWS + 1)}
    extra = {"id": 99, "v": 99, "cdc_operation": "c", "cdc_timestamp": None}
    for number in (3, 7):
        erased = world.run("erase", kind, "public.stock", "--key", f"id={number}", "--yes", "--force")
        assert erased["source"] == "there" and erased["rows"] == 1
    world.reader.ask(f"{kind}_append", world.path(kind), rows=[extra])
    assert world.rows(kind).keys() ^ rows.keys() == {3, 7, 99}
    told = world.run("resync", kind, "public.stock", "--snapshot")
    assert told["in_place"] and told["records"] >= ROWS
    assert world.rows(kind) == {**rows, 99: 99}
    told = world.run("verify", kind, expect=Exit.NEGATIVE)
    assert [(one["kind"], one["key"]["id"]) for table in told["tables"] for one in table["differences"]] == [
        ("extra", "99")]
    world.run("erase", kind, "public.stock", "--key", "id=99", "--yes")
    assert world.rows(kind) == rows
    assert "keeps no orders" in world.sink.run("resync", "-c", world.sink.conf, "--pipeline", kind, "public.stock",
                                               expect=Exit.NEGATIVE).stderr
