"""`index_folder`: the index of a table's keys lies in nameless files of a folder. It is made anew whenever the
table is opened, also behind what others did meanwhile, and the log tells."""

import re

import pytest
from lib.lake import WHY_NOT, Missing, engine
from lib.records import Table, pipeline
from test_delta_target import HARD, row
from test_delta_target import Lake as Delta
from test_iceberg_target import Lake as Iceberg

KINDS = {"delta": Delta, "iceberg": Iceberg}
# More keys than an index below a megabyte has, which stays in ordinary memory.
ROWS = 40_000


def mapped(daemon, folder):
    """Files of the folder that the process has mapped; none of them has a name."""
    with open(f"/proc/{daemon.pid}/maps") as maps:
        return [line for line in maps if str(folder) in line]


def told(daemon, what):
    """How many keys, and how many megabytes of them in files."""
    found = re.findall(rf"table [^ ]*items: {what}: (\d+) keys, [\d.]+ MB(?:, of which ([\d.]+) MB)?", daemon.log())
    return [(int(keys), float(size or 0)) for keys, size in found]


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_in_files(request, sink, kafka, prefix, tmp_path, kind):
    if not engine(sink.binary):
        pytest.skip(WHY_NOT)
    lake = KINDS[kind](sink, tmp_path / "lake", request.getfixturevalue("lake_reader"))
    folder, table = tmp_path / "index", Table(prefix=prefix, schemas=False)
    folder.mkdir()
    kafka.create(table.topic, 1)
    sink.write(pipeline(table, defaults=HARD), kafka=True, targets=[lake.target(
        index_folder=str(folder), commit_ms=200, maintenance={"enabled": False})])
    kafka.produce([table.create(row(number)) for number in range(ROWS)])
    daemon = sink.daemon()
    daemon.await_that(lambda: count(lake) == ROWS, 120, "rows")
    assert mapped(daemon, folder) and not list(folder.iterdir()), "it has grown into files, which nobody sees"
    daemon.kill()
    assert not list(folder.iterdir())

    # Others change the table while nobody has its index.
    lake.ask(f"{kind}_append", rows=[row(ROWS, 1), row(ROWS + 1, 1)])
    kafka.produce([table.update(row(number), row(number, 2)) for number in (0, ROWS - 1, ROWS)])
    daemon = sink.daemon()
    daemon.await_that(lambda: amounts(lake, 0, ROWS - 1, ROWS) == [2, 2, 2], 60, lambda: daemon.log())
    (keys, size), = told(daemon, "opened by its key")
    assert keys == ROWS + 2 and size > 1, "it was read anew, into files"
    assert mapped(daemon, folder)

    # And while the daemon has it: the versions between are gone, so that it can't follow them.
    if kind == "delta":
        lake.ask("delta_append", rows=[row(ROWS + 2, 1)])
        lake.ask("delta_expire")
        kafka.produce([table.update(row(ROWS + 2), row(ROWS + 2, 3))])
        daemon.await_that(lambda: amounts(lake, ROWS + 2) == [3], 60, lambda: daemon.log())
        daemon.await_that(lambda: told(daemon, "its index of keys was read anew"), 10, lambda: daemon.log())
        (keys, size), = told(daemon, "its index of keys was read anew")
        assert keys == ROWS + 3 and size > 1
    assert count(lake) == ROWS + (3 if kind == "delta" else 2)
    daemon.stop()


def reader(lake):
    return "deltalake" if lake.kind == "delta" else "pyiceberg"


def count(lake):
    try:
        return len(lake.ask(reader(lake), columns="id"))
    except Missing:
        return 0


def amounts(lake, *ids):
    """As one reader sees them, since the daemon may be writing."""
    found = {one["id"]: one["amount"] for one in lake.ask(reader(lake), columns="id, amount")}
    return [found.get(number) for number in ids]
