"""`ods-sink verify` of a pipeline into a lake: what is missing, extra and changed is named, what is on its
way counts only once it has arrived, and nothing else is told."""

import json

import pytest
from lib.lake import WHY_NOT, engine, target
from lib.records import BIGINT, INT, TEXT, Table, pipeline
from lib.sink import Exit

CANT_TELL = 6  # an exit code
COLUMNS = {"id": INT, "name": TEXT, "amount": BIGINT}


def row(number, amount=0):
    return {"id": number, "name": None if number % 7 == 0 else f"né{number}", "amount": amount * 10**12}


class World:
    """A table of a source, PostgreSQL, and a lake."""

    def __init__(self, sink, kafka, database, prefix, kind, folder, **defaults):
        self.sink, self.kafka, self.database = sink, kafka, database
        self.table = Table(columns=COLUMNS, database="public", prefix=prefix)
        kafka.create(self.table.topic, 1)
        database.execute("create table items (id int primary key, name text, amount bigint)")
        named = pipeline(self.table, database="shop", defaults=defaults)
        more = {"iceberg 3": {"type": "iceberg", "format_version": 3}}.get(kind, {"type": kind})
        sink.write(named, kafka=True, targets=[{**target(folder / "lake"), **more}], databases=[
            {"name": "shop", "type": "postgres", "dsn": database.dsn}])
        self.daemon = sink.daemon().await_ready()

    def put(self, *rows):
        """Into the source alone."""
        for one in rows:
            self.database.execute("insert into items values (%s, %s, %s) on conflict (id) do update "
                                  "set name = excluded.name, amount = excluded.amount", *one.values())

    def send(self, *rows):
        self.kafka.produce([self.table.create(one) for one in rows])

    def await_applied(self):
        def equal():
            told = self.verify("--counts")[1]
            return told["verdict"] == "equal" and told["tables"]

        self.daemon.await_that(equal, 60, "all is applied")

    def verify(self, *options):
        done = self.sink.run("verify", "-c", self.sink.conf, "--json", *options, expect=None,
                             env={"XDG_STATE_HOME": str(self.sink.folder)})
        return done.returncode, json.loads(done.stdout)


@pytest.fixture
def world(sink, kafka, database, prefix, tmp_path):
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    return lambda kind, **defaults: World(sink, kafka, database, prefix, kind, tmp_path, **defaults)


@pytest.mark.parametrize("kind, delete", [("delta", "hard"), ("iceberg", "soft"), ("iceberg 3", "hard")])
def test_what_differs_is_named(world, kind, delete):
    rules = [{"check": "row_count"}, {"check": "checksum"}, {"check": "row_count", "name": "some", "max": "39"}]
    world = world(kind, on_delete=delete, quality=rules)
    rows = [row(number) for number in range(1, 41)]
    world.put(*rows)
    world.send(*rows, row(99))
    world.kafka.produce([world.table.delete(row(99))])
    world.await_applied()
    code, told = world.verify()
    assert code == Exit.OK and told["verdict"] == "equal", told
    table, = told["tables"]
    assert (table["table"], table["target"], table["source_rows"], table["target_rows"]) == (
        "public.items", "public.items", 40, 40)
    world.database.execute("delete from items where id in (3, 4)")
    world.put({**row(5), "name": None}, row(6, 1), row(77))
    code, told = world.verify()
    table, = told["tables"]
    assert code == Exit.NEGATIVE and (table["missing"], table["extra"], table["changed"]) == (1, 2, 2), told
    assert sorted((one["kind"], one["key"]["id"]) for one in table["differences"]) == [
        ("changed", "5"), ("changed", "6"), ("extra", "3"), ("extra", "4"), ("missing", "77")]
    code, told = world.verify("--counts")
    assert code == Exit.NEGATIVE and told["tables"][0]["extra"] == 1, told
    told = json.loads(world.sink.run("quality", "run", "-c", world.sink.conf, "--json", expect=Exit.NEGATIVE).stdout)
    assert {one["rule"]: (one["state"], one["measured"]) for one in told["rules"]} == {
        "row_count": ("fail", 1), "checksum": ("fail", 5), "some": ("fail", 40)}, told
    assert "1 rows are missing, 2 extra, 2 changed" in {one["rule"]: one["why"] for one in told["rules"]}["checksum"]
    for options in (("--since", "1h"), ("--sample", "10")):
        code, told = world.verify(*options)
        assert code == CANT_TELL and "compared whole" in told["tables"][0]["why"], told
    world.daemon.stop()


def test_what_is_on_its_way(world):
    """What Kafka has and the pipeline has not applied yet is no difference, and nobody is told that it were."""
    world = world("delta", on_delete="hard")
    world.put(row(1), row(2))
    world.send(row(1), row(2))
    world.await_applied()
    world.daemon.stop()
    world.put(row(2, 7), row(3))
    world.send(row(2, 7), row(3))
    code, told = world.verify("--wait", "1")
    table, = told["tables"]
    assert (code, table["missing"], table["extra"], table["changed"], table["unsettled"]) == (CANT_TELL, 0, 0, 0, 2), told
    assert "not applied yet" in table["why"] and not table["differences"]
    code, told = world.verify("--wait", "1", "--counts")
    assert code == CANT_TELL and told["tables"][0]["unsettled"] == 1, told
    daemon = world.sink.daemon().await_ready()
    assert world.verify()[0] == Exit.OK, "it waits for them"
    daemon.stop()
