"""Tables of Iceberg by a REST catalog, the Apache project's own: made, changed, compacted and read back by
PyIceberg and DuckDB; tokens; and what is said when the server refuses."""

import json
import re

import pytest
from lib.faulty_http import Proxy
from lib.lake import WHY_NOT, engine
from lib.records import BIGINT, INT, TEXT, Table
from lib.rest_catalog import RestCatalog
from lib.sink import Exit
from test_delta_target import HARD, row
from test_iceberg_target import Lake


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = RestCatalog(tmp_path_factory.mktemp("catalog"))
    yield made
    made.close()


@pytest.fixture
def lake(request, sink, tmp_path, prefix):
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    made = Rest(sink, tmp_path / "lake", request.getfixturevalue("lake_reader"))
    made.server = request.getfixturevalue("server")
    made.proxy = Proxy(made.server.port)
    made.space = re.sub("[^a-z0-9]", "_", prefix)
    yield made
    made.proxy.close()


class Rest(Lake):
    """Each test has a namespace of its own, and a group."""
    server = proxy = space = None
    catalog = {}

    def target(self, **settings):
        return super().target(**{"catalog": {"uri": self.proxy.url, **self.catalog}, **settings})

    def write(self, tables, defaults=None, **settings):
        super().write(tables, {"schema": self.space, **(defaults or {})}, name=self.space, **settings)

    def path(self, table="items"):
        return self.folder / self.space / table

    def ask(self, word, table="items", **options):
        return self.reader.ask(word, self.path(table), rest=self.server.url, **options)


@pytest.mark.parametrize("version", (2, 3))
def test_made_changed_and_compacted(lake, version):
    """Parted; columns added and promoted; small files and deletes folded in, snapshots expired; exactly what the
    source has."""
    lake.catalog = {"credential": "id:hocuspocus", "warehouse": "any"}
    table = Table(columns={"id": INT, "amount": INT})
    maintenance = {"small_files": 4, "checkpoint_every": 3, "snapshots": 6, "keep_for": "0s"}
    parts = {"items": "bucket(2, id)"}
    lake.write([table], {**HARD, "evolve": "full"}, batch={"max_events": 4}, target={"partition_by": parts, "maintenance": maintenance, "format_version": version})
    lake.replay([table.create({"id": number, "amount": 1}) for number in range(20)])
    table.columns = {"id": INT, "amount": BIGINT, "note": TEXT}
    said = lake.replay([table.update(None, {"id": number, "amount": 2**40 + number, "note": "n"})
                        for number in range(0, 20, 2)] +
                       [table.delete({"id": number, "amount": 1, "note": None}) for number in range(1, 20, 4)]).stderr
    assert "compacted" in said
    wanted = {number: {"id": number, "amount": 1 if number % 2 else 2**40 + number, "note": None if number % 2 else "n"}
              for number in range(20) if number % 4 != 1}
    assert lake.rows("id, amount, note") == wanted
    described = lake.described()
    assert described["partitions"] == ["bucket[2]"] and len(described["snapshots"]) <= 6 + 3
    assert described["format"] == version
    lake.commits()
    asked = [authorization for _, path, authorization in lake.proxy.seen if "/tables" in path]
    assert asked and all(each and each.startswith("Bearer ") and "hocuspocus" not in each for each in asked)


def test_a_token_is_renewed(lake):
    """One that the server no longer takes is asked for anew, and the request comes again."""
    lake.catalog = {"credential": "id:hocuspocus"}
    table = Table()
    fault = lake.proxy.fault(lambda method, path: "/tables/" in path, 401, every=3, times=3)
    lake.write([table], HARD, batch={"max_events": 1})
    lake.replay([table.create(row(1)), table.create(row(2)), table.create(row(3))])
    assert fault.injected == 3 and lake.rows("id, name, amount") == {number: row(number) for number in (1, 2, 3)}
    tokens = [path for _, path, _ in lake.proxy.seen if path == "/v1/oauth/tokens"]
    assert len(tokens) >= 2


def refused(lake, *records):
    return lake.replay(records, expect=Exit.TARGET).stderr


def test_what_is_said(lake):
    """No catalog there; a token that is not taken; a name that the server does not let be made: each says so,
    and no secret is told."""
    table = Table()
    lake.write([table], HARD, target={"catalog": {"uri": f"{lake.server.url}/nowhere"}})
    assert "is catalog.uri that of an Iceberg REST catalog" in refused(lake, table.create(row(1)))
    lake.proxy.fault(lambda method, path: True, 403, every=1, times=1)
    lake.catalog = {"token": "abracadabra"}
    lake.write([table], HARD)
    said = refused(lake, table.create(row(1)))
    assert "catalog.token" in said and "abracadabra" not in said
    assert "abracadabra" not in lake.sink.check().stdout
    lake.catalog = {"token": "a", "credential": "b:c"}
    lake.write([table], HARD)
    done = lake.sink.check(expect=Exit.CONFIG)
    assert "only one may be set" in done.stdout + done.stderr


def test_an_outage_is_waited_for(lake):
    """A catalog that is away, and one that has no time, is no reason to stop."""
    table = Table()
    about = lambda method, path: "/tables" in path  # noqa: E731
    faults = [lake.proxy.fault(about, what, every=every, times=2) for what, every in ((503, 2), (429, 3), ("lost", 4))]
    lake.write([table], HARD, batch={"max_events": 2})
    lake.replay([table.create(row(number)) for number in range(12)])
    assert lake.rows("id, name, amount") == {number: row(number) for number in range(12)}
    assert [fault.injected for fault in faults] == [2, 2, 2]
    names = json.loads(lake.described()["properties"]["ods.offsets"])
    assert [number for name, number in names.items() if not name.endswith("@us")] == [12]
